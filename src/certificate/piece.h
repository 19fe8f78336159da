/* Pieces of sentences about certificates: who, when, how long. */
#ifndef SP_CERTIFICATE_PIECE_H
#define SP_CERTIFICATE_PIECE_H

#include <stdint.h>

#include <openssl/x509.h>

/* Safe to show, cut with "..." when it was longer. */
typedef struct sp__piece {
  char text[64];
} sp__piece_t;

/* How people call the holder of a certificate, and who issued it. */
sp__piece_t sp__piece_subject(X509 *x509);
sp__piece_t sp__piece_issuer(X509 *x509);

/* Seconds since 1970 in a format of strftime. */
sp__piece_t sp__piece_date(int64_t time, const char *format);

/* "3 days", "1 hour": the largest unit that is at least one. */
sp__piece_t sp__piece_span(int64_t seconds);

#endif
