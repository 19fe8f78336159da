/* The index page of a folder. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "www.h"

enum { MOST = 5000 /* entries that are shown */, WAY = 16 /* folders above it */, PIECE = 32768 };

typedef struct entry {
  int64_t size;
  time_t modified;
  const char *name; /* among `names`, once all are there */
  bool is_folder;
} entry_t;

/* What there is to show; HTML is made of it piece by piece, as the client takes it. */
struct cli_www_list {
  entry_t *entries;
  size_t count, room, more;
  char *names; /* one after the other, as the entries were read */
  size_t used, names_room;
  char *path;
  size_t next; /* entry to be shown */
  bool has_begun, is_done;
};

void cli_www_list_free(cli_www_list_t *list) {
  if (!list)
    return;
  free(list->entries);
  free(list->names);
  free(list->path);
  free(list);
}

/* -- what is there ----------------------------------------------------------------------------- */

/* Of a link, what it leads to, if that is in the folder. */
static bool look(struct stat *facts, int root, DIR *folder, const char *path, const char *name) {
  if (fstatat(dirfd(folder), name, facts, AT_SYMLINK_NOFOLLOW) < 0)
    return false;
  if (S_ISLNK(facts->st_mode)) {
    char whole[CLI_WWW_PATH + NAME_MAX + 1];
    (void)snprintf(whole, sizeof whole, "%s%s", path, name);
    int fd = cli_www_open_beneath(root, whole, O_PATH | O_CLOEXEC);
    bool found = fd >= 0 && fstat(fd, facts) == 0;
    if (fd >= 0)
      (void)close(fd);
    return found && (S_ISREG(facts->st_mode) || S_ISDIR(facts->st_mode));
  }
  return S_ISREG(facts->st_mode) || S_ISDIR(facts->st_mode);
}

static bool grow(void **all, size_t *room, size_t wanted, size_t size) {
  size_t more = *room ? 2 * *room : 64;
  if (wanted <= *room)
    return true;
  more = more < wanted ? wanted : more;
  void *larger = realloc(*all, more * size);
  if (!larger)
    return false;
  *all = larger;
  *room = more;
  return true;
}

static bool add(cli_www_list_t *list, const char *name, const struct stat *facts) {
  size_t n = strlen(name) + 1;
  if (!grow((void **)&list->entries, &list->room, list->count + 1, sizeof *list->entries) ||
      !grow((void **)&list->names, &list->names_room, list->used + n, 1))
    return false;
  memcpy(list->names + list->used, name, n);
  list->entries[list->count++] = (entry_t){
      .size = facts->st_size, .modified = facts->st_mtime, .is_folder = S_ISDIR(facts->st_mode)};
  list->used += n;
  return true;
}

static bool read_folder(cli_www_list_t *list, int root, DIR *folder) {
  struct dirent *found;
  struct stat facts;
  while ((found = readdir(folder))) {
    if (*found->d_name == '.')
      continue;
    if (list->count == MOST) { /* and not looked at: a million take their time */
      list->more++;
      continue;
    }
    if (look(&facts, root, folder, list->path, found->d_name) && !add(list, found->d_name, &facts))
      return false;
  }
  return true;
}

/* -- their order ------------------------------------------------------------------------------- */

/* As people sort: "part 9" before "Part 10". */
static int compare_names(const char *a, const char *b) {
  const char *one = a, *other = b;
  while (*one && *other) {
    if (isdigit((unsigned char)*one) && isdigit((unsigned char)*other)) {
      one += strspn(one, "0");
      other += strspn(other, "0");
      size_t n = strspn(one, "0123456789"), m = strspn(other, "0123456789");
      int order = n != m ? (n < m ? -1 : 1) : strncmp(one, other, n);
      if (order)
        return order;
      one += n;
      other += m;
      continue;
    }
    int c = tolower((unsigned char)*one), d = tolower((unsigned char)*other);
    if (c != d)
      return c < d ? -1 : 1;
    one++;
    other++;
  }
  return *one ? 1 : *other ? -1 : strcmp(a, b);
}

static int compare(const void *a, const void *b) {
  const entry_t *one = a, *other = b;
  if (one->is_folder != other->is_folder)
    return one->is_folder ? -1 : 1;
  return compare_names(one->name, other->name);
}

static void sort(cli_www_list_t *list) {
  const char *name = list->names;
  for (size_t i = 0; i < list->count; i++) {
    list->entries[i].name = name;
    name += strlen(name) + 1;
  }
  qsort(list->entries, list->count, sizeof *list->entries, compare);
}

/* -- the page ---------------------------------------------------------------------------------- */

static void print_size(FILE *to, int64_t bytes) {
  static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  double size = (double)bytes;
  size_t i = 0;
  if (bytes < 1000) {
    fprintf(to, "%d B", (int)bytes);
    return;
  }
  for (size /= 1000; size >= 999.5 && i < 5; i++)
    size /= 1000;
  fprintf(to, size < 9.95 ? "%.1f %s" : "%.0f %s", size, units[i]);
}

static void print_entry(FILE *to, const entry_t *entry) {
  const char *slash = entry->is_folder ? "/" : "";
  struct tm tm;
  char date[40] = "", exact[40] = "";
  if (gmtime_r(&entry->modified, &tm)) {
    (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M", &tm);
    (void)strftime(exact, sizeof exact, "%Y-%m-%dT%H:%M:%SZ", &tm);
  }
  fprintf(to, "<tr%s><td><a href=\"", entry->is_folder ? " class=\"f\"" : "");
  cli_www_print_path(to, entry->name);
  fprintf(to, "%s\"><bdi>", slash);
  cli_www_print_html(to, entry->name);
  fprintf(to, "</bdi>%s</a><td class=\"s\">", slash);
  if (!entry->is_folder)
    print_size(to, entry->size);
  fprintf(to, "<td class=\"d\"><time datetime=\"%s\">%s</time>\n", exact, date);
}

static void print_up(FILE *to, size_t folders) {
  fputs("<a href=\"", to);
  for (size_t i = 0; i < folders; i++)
    fputs("../", to);
  fputs("\">", to);
}

/* One folder of the way; answers where the next begins. */
static const char *print_step(FILE *to, const char *at, size_t above) {
  char name[NAME_MAX + 1];
  size_t n = strcspn(at, "/");
  (void)snprintf(name, sizeof name, "%.*s", (int)n, at);
  fputs(" / ", to);
  if (above)
    print_up(to, above);
  fputs("<bdi>", to);
  cli_www_print_html(to, name);
  fputs(above ? "</bdi></a>" : "</bdi>", to);
  return at + n + (at[n] == '/');
}

/* The way here, each folder of it a link: a name, and as many "../" as lead there. Of a long way,
 * which links may make of a few folders, the end. */
static void print_way(FILE *to, const char *path) {
  size_t depth = 0;
  for (const char *at = path; *at; at++)
    depth += *at == '/';
  fputs("<h1>", to);
  if (depth)
    print_up(to, depth);
  fputs(depth ? "Index</a>" : "Index", to);
  if (depth > WAY)
    fputs(" / ...", to);
  for (; depth > WAY; depth--)
    path = strchr(path, '/') + 1;
  while (depth)
    path = print_step(to, path, --depth);
  fputs("</h1>\n", to);
}

static void print_begin(FILE *to, const char *path) {
  char title[CLI_WWW_PATH + 16];
  (void)snprintf(title, sizeof title, "Index of /%s", path);
  cli_www_page_begin(to, title);
  print_way(to, path);
  fputs("<table><thead><tr><th>Name<th class=\"s\">Size<th class=\"d\">Modified (UTC)</thead>\n"
        "<tbody>\n",
        to);
  if (*path)
    fputs("<tr class=\"f\"><td><a href=\"../\">../</a><td class=\"s\"><td class=\"d\">\n", to);
}

static void print_end(FILE *to, const cli_www_list_t *list) {
  fputs("</tbody></table>\n", to);
  if (list->more)
    fprintf(to, "<footer>%zu more are not shown.</footer>\n", list->more);
  else if (!list->count)
    fputs("<footer>Nothing is here.</footer>\n", to);
  cli_www_page_end(to);
}

static void print_piece(FILE *to, cli_www_list_t *list) {
  if (!list->has_begun)
    print_begin(to, list->path);
  list->has_begun = true;
  while (list->next < list->count && ftello(to) < PIECE)
    print_entry(to, list->entries + list->next++);
  if (list->next < list->count)
    return;
  print_end(to, list);
  list->is_done = true;
}

bool cli_www_list_next(cli_www_list_t *list, char **piece, size_t *n) {
  *piece = NULL;
  *n = 0;
  if (list->is_done)
    return true;
  FILE *to = open_memstream(piece, n);
  if (!to)
    return false;
  print_piece(to, list);
  bool good = !ferror(to);
  return fclose(to) == 0 && good;
}

/* -- the list ---------------------------------------------------------------------------------- */

/* All of it is printed once to know its length, which tells the client of a page that was cut. */
static bool measure(cli_www_list_t *list, int64_t *size) {
  char *piece;
  size_t n;
  bool good = true;
  for (*size = 0; good && !list->is_done; *size += (int64_t)n) {
    good = cli_www_list_next(list, &piece, &n);
    free(piece);
  }
  list->next = 0;
  list->has_begun = list->is_done = false;
  return good;
}

/* It stays as long as the client takes its time. */
static void shrink(void **all, size_t size) {
  void *smaller = realloc(*all, size);
  if (smaller)
    *all = smaller;
}

static bool fill(cli_www_list_t *list, int64_t *size, int root, DIR *folder) {
  if (!list->path || !read_folder(list, root, folder))
    return false;
  if (list->count) {
    shrink((void **)&list->entries, list->count * sizeof *list->entries);
    shrink((void **)&list->names, list->used);
    sort(list);
  }
  return measure(list, size);
}

int cli_www_list(cli_www_list_t **made, int64_t *size, int root, int fd, const char *path) {
  DIR *folder = fdopendir(fd);
  if (!folder) {
    int error = errno;
    (void)close(fd);
    return error == ENOMEM ? 503 : 500;
  }
  cli_www_list_t *list = calloc(1, sizeof *list);
  if (list)
    list->path = strdup(path);
  bool good = list && fill(list, size, root, folder);
  (void)closedir(folder);
  if (!good) {
    cli_www_list_free(list);
    return 503;
  }
  *made = list;
  return 200;
}
