/* The HTML of index pages and refusals. */
#include <string.h>

#include <openssl/evp.h>

#include "www.h"

static const char style[] =
    ":root{color-scheme:light dark;--text:#1b1f24;--dim:#656d76;--back:#fff;--line:#e7eaee;"
    "--link:#0a58ca;--over:#f4f7fb}\n"
    "@media(prefers-color-scheme:dark){:root{--text:#e6e9ed;--dim:#98a1ab;--back:#14171a;"
    "--line:#2a2f35;--link:#8ab4f8;--over:#1d2227}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:56rem;padding:2.5rem 1.25rem;background:var(--back);"
    "color:var(--text);font:1rem/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\n"
    "h1,p{margin:0 0 1.25rem;padding:0 .6rem}\n"
    "h1{font-size:1.3rem;font-weight:600;overflow-wrap:anywhere}\n"
    "p{max-width:40rem}\n"
    "a{color:var(--link);text-decoration:none;overflow-wrap:anywhere}\n"
    "a:hover,a:focus-visible{text-decoration:underline}\n"
    "table{width:100%;border-collapse:collapse}\n"
    "th{padding:.4rem .6rem;text-align:left;font-size:.85rem;font-weight:500;color:var(--dim)}\n"
    "td{padding:.4rem .6rem;border-top:1px solid var(--line);vertical-align:top}\n"
    "tbody tr:hover{background:var(--over)}\n"
    ".s,.d{text-align:right;white-space:nowrap;color:var(--dim);"
    "font-variant-numeric:tabular-nums}\n"
    "tr.f a{font-weight:600}\n"
    "footer{margin-top:1.5rem;padding:0 .6rem;font-size:.85rem;color:var(--dim)}\n"
    "@media(max-width:34rem){body{padding:1.25rem .5rem}h1,p{padding:0 .5rem}thead{display:none}"
    "tr{display:grid;grid-template-columns:1fr auto;border-top:1px solid var(--line);"
    "padding:.45rem .5rem}td{border:0;padding:0 0 0 .75rem}td:first-child{padding:0}"
    ".d{grid-column:1/3;padding:0;text-align:left;font-size:.85rem}footer{padding:0 .5rem}}\n";

void cli_www_print_html(FILE *to, const char *text) {
  uint32_t code;
  for (const uint8_t *at = (const uint8_t *)text; *at;) {
    size_t n = cli_letter(at, &code);
    if (*at == '&' || *at == '<' || *at == '>' || *at == '"' || *at == '\'')
      fprintf(to, "&#%d;", *at);
    else if (!n || *at < 0x20 || *at == 0x7f)
      fputs("\xef\xbf\xbd", to);
    else
      fwrite(at, 1, n, to);
    at += n ? n : 1;
  }
}

void cli_www_page_begin(FILE *to, const char *title) {
  fputs("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
        "<link rel=\"icon\" href=\"data:,\">\n<title>",
        to);
  cli_www_print_html(to, title);
  fprintf(to, "</title>\n<style>%s</style>\n", style);
}

void cli_www_page_end(FILE *to) { fputs("</html>\n", to); }

int cli_www_policy(char *room, size_t size) {
  unsigned char digest[EVP_MAX_MD_SIZE], text[2 * EVP_MAX_MD_SIZE];
  unsigned n;
  if (!EVP_Digest(style, strlen(style), digest, &n, EVP_sha256(), NULL))
    return cli_fail("OpenSSL has no SHA-256");
  (void)EVP_EncodeBlock(text, digest, (int)n);
  (void)snprintf(room, size,
                 "Content-Security-Policy: default-src 'none'; style-src 'sha256-%s'; "
                 "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                 text);
  return CLI_OK;
}
