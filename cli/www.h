/* Files of a folder over HTTP: what the parts of --www share. */
#ifndef CLI_WWW_H
#define CLI_WWW_H

#include <sys/stat.h>

#include "http.h"

/* -- www-path.c -------------------------------------------------------------------------------- */

enum { CLI_WWW_PATH = 4096 };

/*
 * The path that a target means, below the folder: decoded, without a slash at the beginning,
 * without empty parts, "" for the folder itself; a slash at its end stays. Answers 200; 400: it is
 * malformed; 404: there cannot be such a file, or its name begins with a dot (".well-known" at the
 * top is fine), which no file has that is shown.
 */
int cli_www_path(char room[CLI_WWW_PATH], const char *target);

/* Prints a path as part of a URI (RFC 3986): all but letters, digits, slashes and -._~ as %XX. */
void cli_www_print_path(FILE *to, const char *path);

/* -- www-type.c -------------------------------------------------------------------------------- */

/* Types by the end of the name. Those of /etc/mime.types are read when it is made. */
typedef struct cli_www_types cli_www_types_t;
cli_www_types_t *cli_www_types_new(const char *mime_types);
void cli_www_types_free(cli_www_types_t *types);

/* NULL: it is not known. Lives as long as the types. */
const char *cli_www_type(const cli_www_types_t *types, const char *name);

/* -- www-open.c: on a thread, for it may take as long as disks do ------------------------------ */

typedef struct cli_www_list cli_www_list_t;

/* What a path leads to. */
typedef struct cli_www_file {
  int status;           /* 200; 301: a folder, asked for without the slash; or a refusal */
  int fd;               /* of the file, or -1 */
  struct stat facts;    /* of the file, or the folder */
  bool is_index;        /* it is the folder's own index.html */
  bool is_text;         /* as far as its first bytes tell; only looked at where asked to */
  cli_www_list_t *list; /* what is in a folder; NULL: it is none */
  int64_t list_size;    /* of its page */
} cli_www_file_t;

/* `folder` is a descriptor of the folder that nothing leaves, neither by ".." nor by a link. */
void cli_www_open(cli_www_file_t *file, int folder, const char *path, bool look_inside);
void cli_www_close(cli_www_file_t *file);

/* As openat() to read, but never above the folder. */
int cli_www_open_beneath(int folder, const char *path, int flags);

/* -- www-list.c -------------------------------------------------------------------------------- */

/* Reads the folder that fd (which is taken over) is open on; `root` as above. *size is that of its
 * index page. Answers an HTTP status. */
int cli_www_list(cli_www_list_t **list, int64_t *size, int root, int fd, const char *path);
void cli_www_list_free(cli_www_list_t *list); /* NULL is fine */

/* The next piece of the page, to free; of 0 bytes: that was all. False: there is no memory. */
bool cli_www_list_next(cli_www_list_t *list, char **piece, size_t *n);

/* -- www-index.c ------------------------------------------------------------------------------- */

/* Takes over the list, and sends its page as fast as the client takes it. The answer has begun; its
 * type and length are added, and once all is sent, cli_http_done. False: there is no memory, and
 * nothing was done. */
bool cli_www_index(cli_http_t *http, cli_www_file_t *file);

/* -- www-page.c: HTML of our own --------------------------------------------------------------- */

void cli_www_print_html(FILE *to, const char *text); /* escaped, and as valid UTF-8 */
void cli_www_page_begin(FILE *to, const char *title);
void cli_www_page_end(FILE *to);

/* The header line that keeps everything else out of these pages. */
int cli_www_policy(char *room, size_t size);

/* -- www-send.c -------------------------------------------------------------------------------- */

/* Takes over the open file, and answers with `count` ranges of it, 0: with all of it. The answer
 * has begun; its type and length are added, and once all is sent, cli_http_done. False: there is no
 * memory, and nothing was done. */
bool cli_www_send(cli_http_t *http, cli_www_file_t *file, const char *type,
                  const cli_http_range_t *ranges, int count);

#endif
