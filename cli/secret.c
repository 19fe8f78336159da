#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

#define FILE_LIMIT ((size_t)1 << 16)

int cli_passphrase_file(char room[CLI_PASSPHRASE_SIZE], const char *path) {
  char *bytes;
  size_t n;
  int status = cli_read(&bytes, &n, path, FILE_LIMIT);
  if (status)
    return status;
  size_t length = strcspn(bytes, "\r\n");
  bool fits = length < CLI_PASSPHRASE_SIZE - 1;
  memcpy(room, bytes, fits ? length : 0);
  room[fits ? length : 0] = '\0';
  cli_drop(bytes, n);
  if (!fits)
    return cli_fail("%s: its first line, the passphrase, is longer than %d bytes", path,
                    CLI_PASSPHRASE_SIZE - 2);
  return length ? CLI_OK : cli_fail("%s: its first line, the passphrase, is empty", path);
}

/* -- from the terminal ------------------------------------------------------------------------- */

bool cli_ask_passphrase(char room[CLI_PASSPHRASE_SIZE], const char *path) {
  return cli_ask_secret(room, "Passphrase of ", path);
}

int cli_passphrase_new(char room[CLI_PASSPHRASE_SIZE], const char **passphrase, const char *path,
                       bool asked) {
  char again[CLI_PASSPHRASE_SIZE];
  *passphrase = path || asked ? room : NULL;
  if (path && asked)
    return cli_fail("--passphrase-file and --ask-passphrase: which is it?");
  if (path)
    return cli_passphrase_file(room, path);
  if (!asked)
    return CLI_OK;
  if (!cli_ask_secret(room, "New passphrase", "") ||
      !cli_ask_secret(again, "The same once more", ""))
    return cli_fail("no passphrase was typed: is there a terminal? --passphrase-file takes it from "
                    "a file");
  bool same = !strcmp(room, again);
  explicit_bzero(again, sizeof again);
  return same ? CLI_OK : cli_fail("the two passphrases differ: nothing was made");
}

/* -- keys -------------------------------------------------------------------------------------- */

bool cli_others_can_read(const char *path) {
  struct stat stat_of;
  return stat(path, &stat_of) == 0 && S_ISREG(stat_of.st_mode) && stat_of.st_mode & 077;
}

int cli_read_key(sp_key_t **key, const char *path, const char *passphrase_file) {
  char room[CLI_PASSPHRASE_SIZE] = "";
  sp_error_t why;
  if (passphrase_file && cli_passphrase_file(room, passphrase_file))
    return CLI_FAILED;
  int status = sp_key_read_file(key, path, passphrase_file ? room : NULL, &why);
  if (status == SP_EPASSPHRASE && !passphrase_file && cli_ask_passphrase(room, path))
    status = sp_key_read_file(key, path, room, &why);
  else if (status == SP_EPASSPHRASE && !passphrase_file)
    snprintf(why.text, sizeof why.text, "%.160s: is encrypted: give --passphrase-file", path);
  explicit_bzero(room, sizeof room);
  if (status < 0)
    return cli_fail_with(&why);
  if (cli_others_can_read(path))
    cli_warn("%s: others can read this private key: chmod 600 %s", path, path);
  return CLI_OK;
}
