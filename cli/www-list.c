/* The index page of a folder. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "www.h"

enum { MOST = 5000 }; /* entries that are shown */

typedef struct entry {
  char *name;
  struct stat facts;
} entry_t;

typedef struct list {
  entry_t *entries;
  size_t count, room, more;
} list_t;

static void free_list(list_t *list) {
  for (size_t i = 0; i < list->count; i++)
    free(list->entries[i].name);
  free(list->entries);
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

static bool add(list_t *list, const char *name, const struct stat *facts) {
  if (list->count == list->room) {
    size_t room = list->room ? 2 * list->room : 64;
    entry_t *more = realloc(list->entries, room * sizeof *more);
    if (!more)
      return false;
    list->entries = more;
    list->room = room;
  }
  char *copy = strdup(name);
  if (!copy)
    return false;
  entry_t *entry = list->entries + list->count++;
  entry->name = copy;
  entry->facts = *facts;
  return true;
}

static bool read_folder(list_t *list, int root, DIR *folder, const char *path) {
  struct dirent *found;
  struct stat facts;
  while ((found = readdir(folder))) {
    if (*found->d_name == '.')
      continue;
    if (list->count == MOST) { /* and not looked at: a million take their time */
      list->more++;
      continue;
    }
    if (look(&facts, root, folder, path, found->d_name) && !add(list, found->d_name, &facts))
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
  bool folder = S_ISDIR(one->facts.st_mode);
  if (folder != S_ISDIR(other->facts.st_mode))
    return folder ? -1 : 1;
  return compare_names(one->name, other->name);
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
  bool folder = S_ISDIR(entry->facts.st_mode);
  const char *slash = folder ? "/" : "";
  struct tm tm;
  char date[40] = "", exact[40] = "";
  if (gmtime_r(&entry->facts.st_mtime, &tm)) {
    (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M", &tm);
    (void)strftime(exact, sizeof exact, "%Y-%m-%dT%H:%M:%SZ", &tm);
  }
  fprintf(to, "<tr%s><td><a href=\"", folder ? " class=\"f\"" : "");
  cli_www_print_path(to, entry->name);
  fprintf(to, "%s\"><bdi>", slash);
  cli_www_print_html(to, entry->name);
  fprintf(to, "</bdi>%s</a><td class=\"s\">", slash);
  if (!folder)
    print_size(to, entry->facts.st_size);
  fprintf(to, "<td class=\"d\"><time datetime=\"%s\">%s</time>\n", exact, date);
}

/* The way here, each folder of it a link: a name, and as many "../" as lead there. */
static void print_way(FILE *to, const char *path) {
  size_t depth = 0;
  for (const char *at = path; *at; at++)
    depth += *at == '/';
  fputs(depth ? "<h1><a href=\"" : "<h1>Index", to);
  for (size_t i = 0; i < depth; i++)
    fputs("../", to);
  fputs(depth ? "\">Index</a>" : "", to);
  for (const char *at = path; *at;) {
    char name[NAME_MAX + 1];
    size_t n = strcspn(at, "/");
    (void)snprintf(name, sizeof name, "%.*s", (int)n, at);
    at += n + (at[n] == '/');
    fputs(" / ", to);
    fputs(--depth ? "<a href=\"" : "<bdi>", to);
    for (size_t i = 0; i < depth; i++)
      fputs("../", to);
    fputs(depth ? "\"><bdi>" : "", to);
    cli_www_print_html(to, name);
    fputs(depth ? "</bdi></a>" : "</bdi>", to);
  }
  fputs("</h1>\n", to);
}

static void print_page(FILE *to, const list_t *list, const char *path) {
  char title[CLI_WWW_PATH + 16];
  (void)snprintf(title, sizeof title, "Index of /%s", path);
  cli_www_page_begin(to, title);
  print_way(to, path);
  fputs("<table><thead><tr><th>Name<th class=\"s\">Size<th class=\"d\">Modified (UTC)</thead>\n"
        "<tbody>\n",
        to);
  if (*path)
    fputs("<tr class=\"f\"><td><a href=\"../\">../</a><td class=\"s\"><td class=\"d\">\n", to);
  for (size_t i = 0; i < list->count; i++)
    print_entry(to, list->entries + i);
  fputs("</tbody></table>\n", to);
  if (list->more)
    fprintf(to, "<footer>%zu more are not shown.</footer>\n", list->more);
  else if (!list->count)
    fputs("<footer>Nothing is here.</footer>\n", to);
  cli_www_page_end(to);
}

int cli_www_list(char **page, size_t *n, int root, int fd, const char *path) {
  list_t list = {NULL, 0, 0, 0};
  DIR *folder = fdopendir(fd);
  if (!folder) {
    int error = errno;
    (void)close(fd);
    return error == ENOMEM ? 503 : 500;
  }
  bool good = read_folder(&list, root, folder, path);
  FILE *to = good ? open_memstream(page, n) : NULL;
  (void)closedir(folder);
  if (to) {
    if (list.count)
      qsort(list.entries, list.count, sizeof *list.entries, compare);
    print_page(to, &list, path);
    good = !ferror(to);
    good = fclose(to) == 0 && good;
  }
  free_list(&list);
  return to && good ? 200 : 503;
}
