#include "base/text.h"

#include <stdint.h>
#include <string.h>

/* Length of the well-formed UTF-8 character at p (Unicode table 3-7), 0 if there is none. */
static size_t character(const uint8_t *p, size_t n) {
  uint8_t c = p[0];
  size_t length = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : 0;
  if (c >= 0xf0 && c < 0xf5)
    length = 4;
  if (!length || length > n)
    return 0;
  for (size_t i = 1; i < length; i++)
    if ((p[i] & 0xc0) != 0x80)
      return 0;
  if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) ||
      (c == 0xf4 && p[1] > 0x8f))
    return 0;
  return length;
}

/* C0, DEL, C1 and the marks that turn the direction of text around. */
static int is_control(const uint8_t *p, size_t length) {
  if (length == 1)
    return p[0] < 0x20 || p[0] == 0x7f;
  if (length == 2)
    return (p[0] == 0xc2 && p[1] < 0xa0) || (p[0] == 0xd8 && p[1] == 0x9c);
  return length == 3 && p[0] == 0xe2 &&
         ((p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae))) ||
          (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

size_t sp__escape(char *room, size_t size, const void *bytes, size_t n) {
  static const char digits[] = "0123456789abcdef";
  const uint8_t *p = bytes;
  size_t out = 0;
  if (!size)
    return 0;
  while (n) {
    size_t length = character(p, n);
    if (length && !is_control(p, length)) {
      if (out + length >= size)
        break;
      memcpy(room + out, p, length);
      out += length;
    } else {
      if (!length)
        length = 1;
      if (out + 4 * length >= size)
        break;
      for (size_t i = 0; i < length; i++, out += 4)
        memcpy(room + out, (char[4]){'\\', 'x', digits[p[i] >> 4], digits[p[i] & 15]}, 4);
    }
    p += length;
    n -= length;
  }
  room[out] = '\0';
  return out;
}
