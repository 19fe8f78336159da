/* The index page of a folder to a client: never more of it in memory than a piece. */
#include <stdlib.h>

#include "www.h"

typedef struct page {
  cli_http_t *http;
  cli_www_list_t *list;
  char *piece;
} page_t;

static void free_page(page_t *page) {
  cli_www_list_free(page->list);
  free(page->piece);
  free(page);
}

static void on_lost(void *own) { free_page(own); }

static void finish(page_t *page) {
  cli_http_t *http = page->http;
  cli_http_set_own(http, NULL, NULL);
  free_page(page);
  cli_http_done(http);
}

static void next_piece(cli_http_t *http) {
  page_t *page = cli_http_own(http);
  size_t n;
  free(page->piece);
  if (!cli_www_list_next(page->list, &page->piece, &n))
    cli_http_break(http, "there is no memory for the rest of the page");
  else if (n)
    cli_http_write(http, page->piece, n, next_piece);
  else
    finish(page);
}

bool cli_www_index(cli_http_t *http, cli_www_file_t *file) {
  page_t *page = calloc(1, sizeof *page);
  if (!page)
    return false;
  page->http = http;
  page->list = file->list;
  file->list = NULL;
  cli_http_set_own(http, page, on_lost);
  cli_http_header(http, "Content-Type: text/html; charset=utf-8");
  cli_http_header(http, "X-Content-Type-Options: nosniff");
  cli_http_length(http, file->list_size);
  if (cli_http_wants_content(http))
    next_piece(http);
  else
    finish(page);
  return true;
}
