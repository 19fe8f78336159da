/*
 * An authority of one's own: its key and root certificate, a server's key, request and certificate,
 * and a revocation list, as PEM files in a folder.
 *
 *     own-authority FOLDER NAME...            (names and addresses of the server)
 *     openssl verify -x509_strict -CAfile FOLDER/root.pem FOLDER/server-cert.pem
 */
#include <errno.h>
#include <fcntl.h>
#include <securepair.h>
#include <string.h>
#include <unistd.h>

static sp_error_t why;

/* Keys are for their owner alone, and nothing is written over. */
static int save(const char *folder, const char *name, const char *pem, int mode) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  size_t n = strlen(pem);
  if (fd < 0 || write(fd, pem, n) != (ssize_t)n || close(fd) < 0) {
    fprintf(stderr, "own-authority: %s: %s\n", path, strerror(errno));
    return -1;
  }
  return 0;
}

static int save_key(const char *folder, const char *name, const sp_key_t *key) {
  char *pem;
  int status = sp_key_pem(key, NULL, &pem, &why);
  if (status < 0)
    return sp_error_print(stderr, &why);
  status = save(folder, name, pem, 0600);
  sp_pem_release(pem);
  return status;
}

typedef struct authority {
  sp_key_t *key, *server_key;
  sp_certificate_t *root, *server;
  sp_request_t *request;
  char *list;
} authority_t;

static int make(authority_t *a, const char *const *names) {
  if (sp_key_make(&a->key, SP_KEY_P256, 0, &why) < 0 ||
      sp_key_make(&a->server_key, SP_KEY_P256, 0, &why) < 0 ||
      sp_certificate_make(
          &a->root, a->key, &why,
          SP_CERTIFICATE(.subject = "CN=own authority", .purpose = SP_FOR_AUTHORITY)) < 0 ||
      sp_request_make(&a->request, a->server_key, &why, SP_CERTIFICATE(.names = names)) < 0 ||
      sp_certificate_sign(&a->server, a->request, a->root, a->key, &why, NULL) < 0)
    return sp_error_print(stderr, &why);
  return sp_crl_make(&a->list, a->root, a->key, NULL, 0, 1, 30, &why);
}

static int save_all(const authority_t *a, const char *folder) {
  return save_key(folder, "root-key.pem", a->key) < 0 ||
                 save(folder, "root.pem", sp_certificate_pem(a->root), 0644) < 0 ||
                 save_key(folder, "server-key.pem", a->server_key) < 0 ||
                 save(folder, "server-csr.pem", sp_request_pem(a->request), 0644) < 0 ||
                 save(folder, "server-cert.pem", sp_certificate_pem(a->server), 0644) < 0 ||
                 save(folder, "root-crl.pem", a->list, 0644) < 0
             ? -1
             : 0;
}

static void release(authority_t *a) {
  sp_pem_release(a->list);
  sp_certificate_release(a->server);
  sp_certificate_release(a->root);
  sp_request_release(a->request);
  sp_key_release(a->server_key);
  sp_key_release(a->key);
}

int main(int argc, char **argv) {
  authority_t a = {.key = NULL};
  if (argc < 3)
    return fprintf(stderr, "usage: own-authority FOLDER NAME...\n"), 2;
  int status = make(&a, (const char *const *)argv + 2);
  if (!status)
    status = save_all(&a, argv[1]);
  release(&a);
  return status < 0;
}
