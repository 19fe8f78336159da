/*
 * The one BIO under a pair: reads from the slice that encrypted-in borrowed, writes to the memory
 * that was lent. It holds nothing itself.
 */
#include <string.h>

#include "pair/pair.h"

static int bio_read(BIO *bio, char *room, int size) {
  sp_pair_t *pair = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (!pair->in_left) {
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t n = (size_t)size < pair->in_left ? (size_t)size : pair->in_left;
  memcpy(room, pair->in, n);
  if (pair->bytes_in < sizeof pair->first) {
    size_t have = (size_t)pair->bytes_in;
    size_t more = sizeof pair->first - have;
    memcpy(pair->first + have, room, n < more ? n : more);
  }
  pair->in += n;
  pair->in_left -= n;
  pair->bytes_in += n;
  return (int)n;
}

static int bio_write(BIO *bio, const char *bytes, int n) {
  sp_pair_t *pair = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  size_t put = sp__pair_put(pair, bytes, (size_t)n);
  if (!put) {
    if (!sp__pair_room(pair))
      BIO_set_retry_write(bio);
    return -1; /* without the flag: no memory */
  }
  pair->bytes_out += put;
  return (int)put;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH; /* everything else: not known, not needed */
}

static int bio_create(BIO *bio) {
  BIO_set_init(bio, 1);
  return 1;
}

static BIO_METHOD *method;
static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

static void make_method(void) {
  BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "secure pair");
  if (made && BIO_meth_set_read(made, bio_read) && BIO_meth_set_write(made, bio_write) &&
      BIO_meth_set_ctrl(made, bio_control) && BIO_meth_set_create(made, bio_create))
    method = made;
  else
    BIO_meth_free(made);
}

/* The method lives as long as the process: OpenSSL may outlive every exit handler of ours. */
BIO *sp__pair_bio(sp_pair_t *pair) {
  if (!CRYPTO_THREAD_run_once(&once, make_method) || !method)
    return NULL;
  BIO *bio = BIO_new(method);
  if (bio)
    BIO_set_data(bio, pair);
  return bio;
}
