#include "context/input.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

static void skip_byte_order_mark(sp__input_t *input) {
  if (input->n >= 3 && !memcmp(input->bytes, "\xef\xbb\xbf", 3)) {
    input->bytes += 3;
    input->n -= 3;
  }
}

static int check(sp__input_t *input, int status, sp_error_t *why) {
  skip_byte_order_mark(input);
  sp__input_rewind(input);
  const char *nul = memchr(input->bytes, '\0', input->n);
  if (!nul || sp__input_is_der(input))
    return 0;
  return sp__fail(why, status, SP_US, "%s: has a NUL byte at offset %zu: it is neither PEM nor DER",
                  input->name, (size_t)(nul - input->bytes));
}

static void name_file(sp__input_t *input, const char *option, const char *path) {
  size_t length = strlen(path), most = sizeof input->name - strlen(option) - 5;
  if (length <= most)
    snprintf(input->name, sizeof input->name, "%s %s", option, path);
  else /* the end of a path says more than its beginning */
    snprintf(input->name, sizeof input->name, "%s ...%s", option, path + length - most);
}

int sp__input_text(sp__input_t *input, const char *option, int index, const char *text,
                   size_t limit, int status, sp_error_t *why) {
  *input = (sp__input_t){.bytes = text, .n = strnlen(text, limit + 1)};
  if (index < 0)
    snprintf(input->name, sizeof input->name, "%s", option);
  else
    snprintf(input->name, sizeof input->name, "%s[%d]", option, index);
  if (input->n > limit)
    return sp__fail(why, status, SP_US, "%s: is larger than %zu bytes: is it the right text?",
                    input->name, limit);
  return check(input, status, why);
}

static int read_file(sp__input_t *input, const char *option, const char *path, size_t limit,
                     sp_error_t *why) {
  *input = (sp__input_t){.n = 0};
  name_file(input, option, path);
  int status = sp__file_read(&input->owned, &input->n, path, limit, why);
  input->bytes = input->owned;
  return status;
}

int sp__input_file(sp__input_t *input, const char *option, const char *path, size_t limit,
                   int status, sp_error_t *why) {
  int result = read_file(input, option, path, limit, why);
  return result < 0 ? result : check(input, status, why);
}

int sp__input_binary(sp__input_t *input, const char *option, const void *bytes, size_t n,
                     const char *path, size_t limit, int status, sp_error_t *why) {
  if (path)
    return read_file(input, option, path, limit, why);
  *input = (sp__input_t){.bytes = bytes, .n = n};
  snprintf(input->name, sizeof input->name, "%s", option);
  if (n <= limit)
    return 0;
  return sp__fail(why, status, SP_US, "%s: is larger than %zu bytes: is it the right one?", option,
                  limit);
}

void sp__input_close(sp__input_t *input) {
  sp__file_release(input->owned);
  input->owned = NULL;
}

bool sp__input_is_der(const sp__input_t *input) {
  static const char begin[] = "-----BEGIN ";
  return input->n > 2 && input->bytes[0] == 0x30 &&
         !memmem(input->bytes, input->n, begin, sizeof begin - 1);
}

void sp__input_rewind(sp__input_t *input) {
  input->at = input->bytes;
  input->line = 0;
}

/* Takes the next line, without its end, and moves on. */
static bool next_line(sp__input_t *input, const char **line, size_t *n) {
  const char *end = input->bytes + input->n;
  if (input->at == end)
    return false;
  const char *feed = memchr(input->at, '\n', (size_t)(end - input->at));
  *line = input->at;
  *n = (size_t)((feed ? feed : end) - input->at);
  input->at = feed ? feed + 1 : end;
  input->line++;
  while (*n && ((*line)[*n - 1] == '\r' || (*line)[*n - 1] == ' ' || (*line)[*n - 1] == '\t'))
    --*n;
  return true;
}

/* "-----BEGIN LABEL-----" or the same with END; leaves the label. */
static bool is_border(const char *line, size_t n, const char *start, const char **label,
                      size_t *label_size) {
  size_t length = strlen(start);
  if (n < length + 5 || memcmp(line, start, length) != 0 || memcmp(line + n - 5, "-----", 5) != 0)
    return false;
  *label = line + length;
  *label_size = n - length - 5;
  return true;
}

int sp__input_next(sp__input_t *input, sp__block_t *block, int status, sp_error_t *why) {
  const char *line, *label;
  size_t n, size;
  do {
    if (!next_line(input, &line, &n))
      return 0;
  } while (!is_border(line, n, "-----BEGIN ", &label, &size));
  *block = (sp__block_t){.label = label, .bytes = line, .line = input->line};
  block->label_size = size > 64 ? 64 : (int)size;
  while (next_line(input, &line, &n)) {
    const char *end;
    size_t end_size;
    if (!is_border(line, n, "-----END ", &end, &end_size))
      continue;
    if (end_size != size || memcmp(end, label, size) != 0)
      break;
    block->n = (size_t)(input->at - block->bytes);
    return 1;
  }
  return sp__fail(why, status, SP_US,
                  "%s, line %u: \"BEGIN %.*s\" without its END line: is it complete?", input->name,
                  block->line, block->label_size, block->label);
}

bool sp__block_is(const sp__block_t *block, const char *label) {
  size_t n = strlen(label);
  return (size_t)block->label_size == n && !memcmp(block->label, label, n);
}

bool sp__block_is_certificate(const sp__block_t *block) {
  return sp__block_is(block, "CERTIFICATE") || sp__block_is(block, "X509 CERTIFICATE") ||
         sp__block_is(block, "TRUSTED CERTIFICATE");
}

static bool ends_with(const sp__block_t *block, const char *end) {
  int n = (int)strlen(end);
  return block->label_size >= n && !memcmp(block->label + block->label_size - n, end, (size_t)n);
}

bool sp__block_is_key(const sp__block_t *block) { return ends_with(block, "PRIVATE KEY"); }

bool sp__block_is_parameters(const sp__block_t *block) { return ends_with(block, "PARAMETERS"); }

BIO *sp__block_bio(const sp__block_t *block) {
  return BIO_new_mem_buf(block->bytes, (int)block->n);
}
