/*
 * A TLS server whose private key is in another process: this one, which talks to the world, never
 * sees it. Whoever breaks in here can have things signed for as long as he stays, and takes no key
 * along. A security module (HSM) is asked in the same way.
 *
 *     key-process PORT KEY CERT                  (port 0: any free one)
 *     openssl s_client -quiet -connect 127.0.0.1:PORT
 *
 * The key's process is a child that is made before anything else. The two speak by messages, each a
 * head and so many bytes: a question has a number and what is to be signed, its answer the same
 * number and the signature. While the server waits for one, its loop goes on.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <securepair.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LARGEST 65536

typedef struct head {
  uint32_t number, size;
  uint16_t scheme; /* RFC 8446 4.2.3; in an answer 0 */
} head_t;

/* -- the key's process ------------------------------------------------------------------------- */

static bool read_all(int fd, void *room, size_t n) {
  for (size_t got = 0; got < n;) {
    ssize_t some = read(fd, (char *)room + got, n - got);
    if (some == 0 || (some < 0 && errno != EINTR))
      return false;
    got += some < 0 ? 0 : (size_t)some;
  }
  return true;
}

static bool write_all(int fd, const void *bytes, size_t n) {
  for (size_t put = 0; put < n;) {
    ssize_t some = write(fd, (const char *)bytes + put, n - put);
    if (some < 0 && errno != EINTR)
      return false;
    put += some < 0 ? 0 : (size_t)some;
  }
  return true;
}

static const EVP_MD *hash_of(uint16_t scheme) {
  switch (scheme >> 8 == 8 ? scheme & 15 : scheme >> 8) {
  case 4:
    return EVP_sha256();
  case 5:
    return EVP_sha384();
  case 6:
    return EVP_sha512();
  default:
    return NULL; /* Ed25519 */
  }
}

/* How many bytes the signature has; 0: it cannot be made. */
static size_t sign(EVP_PKEY *key, uint16_t scheme, const uint8_t *message, size_t n, uint8_t *room,
                   size_t size) {
  EVP_PKEY_CTX *padding;
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool pss = scheme >= 0x0804 && scheme <= 0x0806;
  bool fine = ctx && EVP_DigestSignInit(ctx, &padding, hash_of(scheme), NULL, key) == 1 &&
              (!pss || (EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) == 1 &&
                        EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
              EVP_DigestSign(ctx, room, &size, message, n) == 1;
  EVP_MD_CTX_free(ctx);
  return fine ? size : 0;
}

/* Until the server is gone. A real one would decide here what it signs, and how often. */
static int keep_key(int fd, const char *file) {
  static uint8_t message[LARGEST], signature[1024];
  head_t head;
  FILE *in = fopen(file, "r");
  EVP_PKEY *key = in ? PEM_read_PrivateKey(in, NULL, NULL, NULL) : NULL;
  if (in)
    fclose(in);
  if (!key)
    return fprintf(stderr, "key-process: cannot read a key from %s\n", file), 1;
  while (read_all(fd, &head, sizeof head) && head.size <= sizeof message &&
         read_all(fd, message, head.size)) {
    size_t n = sign(key, head.scheme, message, head.size, signature, sizeof signature);
    head = (head_t){.number = head.number, .size = (uint32_t)n};
    if (!write_all(fd, &head, sizeof head) || !write_all(fd, signature, n))
      break;
  }
  EVP_PKEY_free(key);
  return 0;
}

/* -- the server: questions and answers --------------------------------------------------------- */

typedef struct question {
  uint32_t number;
  sp_pair_t *pair; /* NULL: nobody waits any more */
  struct question *next;
} question_t;

static question_t *questions;
static uv_pipe_t to_key;
static uint8_t answers[LARGEST]; /* bytes that are no whole answer yet */
static size_t answers_size;

static void on_written(uv_write_t *write, int status) {
  (void)status; /* a key's process that is gone is told by reading */
  free(write);
}

/* The head and the message behind the request itself: freed together. */
static int ask(uint32_t number, uint16_t scheme, const uint8_t *message, size_t n) {
  head_t head = {.number = number, .size = (uint32_t)n, .scheme = scheme};
  uv_write_t *write = malloc(sizeof *write + sizeof head + n);
  if (!write || n > LARGEST) {
    free(write);
    return SP_EREFUSED;
  }
  char *bytes = (char *)(write + 1);
  memcpy(bytes, &head, sizeof head);
  memcpy(bytes + sizeof head, message, n);
  uv_buf_t buffer = uv_buf_init(bytes, (unsigned)(sizeof head + n));
  return uv_write(write, (uv_stream_t *)&to_key, &buffer, 1, on_written);
}

/* The hook: something is to be signed. */
static int on_sign(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data) {
  static uint32_t last;
  (void)data;
  question_t *question = malloc(sizeof *question);
  if (!question)
    return UV_ENOMEM;
  *question = (question_t){.number = ++last, .pair = pair, .next = questions};
  questions = question;
  int status = ask(question->number, scheme, message, n);
  if (status == 0)
    return SP_PENDING;
  questions = question->next;
  free(question);
  return status;
}

/* Not in the list: it was answered before, which a sound key's process does not do. */
static void take_answer(uint32_t number, const uint8_t *signature, size_t n) {
  question_t **link = &questions, *question;
  while (*link && (*link)->number != number)
    link = &(*link)->next;
  if (!(question = *link))
    return;
  *link = question->next;
  if (question->pair) {
    int status = n ? sp_pair_sign_with(question->pair, signature, n) : SP_EREFUSED;
    (void)sp_pair_resume(question->pair, status);
  }
  free(question);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)handle, (void)suggested;
  *buffer = uv_buf_init((char *)answers + answers_size, (unsigned)(sizeof answers - answers_size));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
  head_t head;
  (void)stream, (void)buffer;
  if (n < 0) {
    fprintf(stderr, "key-process: the process that has the key is gone\n");
    exit(1);
  }
  answers_size += (size_t)n;
  size_t at = 0;
  for (; answers_size - at >= sizeof head; at += sizeof head + head.size) {
    memcpy(&head, answers + at, sizeof head);
    if (answers_size - at - sizeof head < head.size)
      break;
    take_answer(head.number, answers + at + sizeof head, head.size);
  }
  answers_size -= at;
  memmove(answers, answers + at, answers_size);
}

/* Called for every client, also for one that left while its question was open. */
static void on_secure(sp_stream_t *stream, int status) {
  for (question_t *question = questions; question; question = question->next)
    if (question->pair == sp_stream_pair(stream))
      question->pair = NULL;
  if (status < 0)
    sp_error_print(stderr, sp_stream_error(stream));
  else if (sp_stream_send(stream, "signed elsewhere\n", 17) < 0)
    sp_stream_destroy(stream);
  else
    sp_stream_end(stream);
}

static int serve(int port, int fd, const char *cert) {
  sp_server_t *server;
  sp_error_t why;
  uv_pipe_init(uv_default_loop(), &to_key, 0);
  if (uv_pipe_open(&to_key, fd) < 0 || uv_read_start((uv_stream_t *)&to_key, on_room, on_read) < 0)
    return fprintf(stderr, "key-process: cannot use the socket pair\n"), 1;
  if (sp_server_new(&server, uv_default_loop(), on_secure, &why,
                    SP_OPTIONS(.cert_file = cert, .hooks.sign = on_sign)) < 0 ||
      sp_server_listen(server, NULL, port, &why) < 0)
    return sp_error_print(stderr, &why), 1;
  printf("listening on port %d\n", sp_server_port(server));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

int main(int argc, char **argv) {
  int port, fds[2];
  char rest;
  if (argc != 4 || sscanf(argv[1], "%5d%c", &port, &rest) != 1)
    return fprintf(stderr, "usage: key-process PORT KEY CERT\n"), 2;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    return perror("key-process"), 1;
  pid_t child = fork();
  if (child < 0)
    return perror("key-process"), 1;
  close(fds[child != 0]);
  return child == 0 ? keep_key(fds[1], argv[2]) : serve(port, fds[0], argv[3]);
}
