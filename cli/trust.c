#include "trust.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#define STORE "/usr/local/share/ca-certificates"

/* -- words ------------------------------------------------------------------------------------- */

/* A path as a word of the shell. */
static void put_word(const char *path) {
  if (strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+@:") ==
      strlen(path)) {
    fputs(path, stdout);
    return;
  }
  putchar('\'');
  for (; *path; path++)
    if (*path == '\'')
      fputs("'\\''", stdout);
    else
      putchar(*path);
  putchar('\'');
}

/* `command` with the path in place of %. */
static void advise(const char *who, const char *command, const char *path) {
  const char *at = strchr(command, '%');
  printf("  %-22s%.*s", who, (int)(at - command), command);
  put_word(path);
  puts(at + 1);
}

static bool is_trusted(const sp_certificate_t *root) {
  X509_STORE *store = X509_STORE_new();
  X509_STORE_CTX *ctx = X509_STORE_CTX_new();
  bool trusted = store && ctx && X509_STORE_set_default_paths(store) &&
                 X509_STORE_CTX_init(ctx, store, sp_certificate_x509(root), NULL) &&
                 X509_verify_cert(ctx) == 1;
  X509_STORE_CTX_free(ctx);
  X509_STORE_free(store);
  ERR_clear_error();
  return trusted;
}

/* The name of the root in the store: its own, since every account may have one. */
static void store_path(char room[PATH_MAX], const sp_certificate_t *root) {
  const char *print = sp_certificate_fingerprint(root, SP_SHA256);
  char id[9] = "";
  for (size_t n = 0; *print && n < 8; print++)
    if (isxdigit((unsigned char)*print))
      id[n++] = (char)tolower((unsigned char)*print);
  snprintf(room, PATH_MAX, STORE "/securepair-%s.crt", id);
}

static void tell_store(const sp_certificate_t *root, const char *path) {
  char store[PATH_MAX];
  store_path(store, root);
  puts("Debian's store, for curl, wget, Python, Go: \"securepair localhost --trust\" does, and\n"
       "\"--untrust\" undoes, what these two do:");
  printf("  sudo install -m 644 ");
  put_word(path);
  printf(" %s\n  sudo update-ca-certificates\n", store);
}

void cli_trust_tell(const sp_certificate_t *root, const char *path) {
  printf("\nIt is signed by an authority of your account's own, whose root is\n  %s\n"
         "Who has its key, which lies beside it, can pass for any server among those who trust the "
         "root:\nnever give it away.\n\n",
         path);
  if (is_trusted(root)) {
    puts("This machine's store has the root: curl, wget, Python and Go trust it.");
  } else {
    puts("Clients refuse the certificate until they are told to trust the root.");
    tell_store(root, path);
  }
  advise("curl, once:", "curl --cacert % https://localhost:8000/", path);
  advise("Node:", "NODE_EXTRA_CA_CERTS=% node client.js", path);
  advise("C, this library:", ".ca_files = SP_LIST(\"%\")", path);
  advise("Chromium:", "certutil -d \"sql:$HOME/.pki/nssdb\" -A -t C,, -n securepair -i %", path);
  advise("Firefox:",
         "certutil -d \"sql:$HOME/.mozilla/firefox/PROFILE\" -A -t C,, -n securepair -i %", path);
  puts("certutil is in Debian's package libnss3-tools; Firefox has a menu for it, too:\nSettings, "
       "Certificates.");
}

/* -- the system's store ------------------------------------------------------------------------ */

/* Runs a command as root: through sudo for those who are not. Answers an exit status. */
static int run_as_root(const char *const *command) {
  const char *argv[8] = {"sudo"};
  size_t n = geteuid() != 0;
  int status = 0;
  pid_t pid;
  for (size_t i = 0; command[i] && n < 7; i++)
    argv[n++] = command[i];
  argv[n] = NULL;
  fflush(stdout);
  int number = posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ);
  if (number)
    return cli_fail("cannot run %s: %s", argv[0], strerror(number));
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
    continue;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0
             ? CLI_OK
             : cli_fail("%s failed: nothing may have changed", argv[0]);
}

int cli_trust_system(const sp_certificate_t *root, const char *path, bool trust) {
  char store[PATH_MAX];
  store_path(store, root);
  const char *put[] = {"install", "-m", "644", path, store, NULL};
  const char *take[] = {"rm", "-f", store, NULL};
  const char *update[] = {"update-ca-certificates", NULL};
  if (access(STORE, F_OK) != 0)
    return cli_fail("there is no folder " STORE ": is Debian's package ca-certificates installed?");
  int status = run_as_root(trust ? put : take);
  return status ? status : run_as_root(update);
}
