#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "cli.h"

int cli_passphrase_file(char room[CLI_PASSPHRASE_SIZE], const char *path) {
  char *bytes;
  size_t n;
  int status = cli_read(&bytes, &n, path, CLI_PASSPHRASE_SIZE);
  if (status)
    return status;
  size_t length = strcspn(bytes, "\r\n");
  if (length && length < CLI_PASSPHRASE_SIZE)
    memcpy(room, bytes, length);
  room[length < CLI_PASSPHRASE_SIZE ? length : 0] = '\0';
  cli_drop(bytes, n);
  return length ? CLI_OK : cli_fail("%s: its first line, the passphrase, is empty", path);
}

bool cli_ask_passphrase(char room[CLI_PASSPHRASE_SIZE], const char *path) {
  struct termios shown, hidden;
  int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (fd < 0)
    return false;
  bool fine = tcgetattr(fd, &shown) == 0;
  hidden = shown;
  hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
  fine = fine && tcsetattr(fd, TCSAFLUSH, &hidden) == 0;
  ssize_t n = 0;
  if (fine) {
    dprintf(fd, "Passphrase of %s: ", path);
    n = read(fd, room, CLI_PASSPHRASE_SIZE - 1);
    (void)tcsetattr(fd, TCSAFLUSH, &shown);
    dprintf(fd, "\n");
  }
  close(fd);
  room[n > 0 ? n : 0] = '\0';
  room[strcspn(room, "\r\n")] = '\0';
  return *room != '\0';
}

bool cli_others_can_read(const char *path) {
  struct stat stat_of;
  return stat(path, &stat_of) == 0 && S_ISREG(stat_of.st_mode) && stat_of.st_mode & 077;
}

int cli_read_key(sp_key_t **key, const char *path, const char *passphrase_file) {
  char room[CLI_PASSPHRASE_SIZE] = "";
  sp_error_t why;
  if (passphrase_file && cli_passphrase_file(room, passphrase_file))
    return CLI_FAILED;
  if (cli_others_can_read(path))
    cli_warn("%s: others can read this private key: chmod 600 %s", path, path);
  int status = sp_key_read_file(key, path, passphrase_file ? room : NULL, &why);
  if (status == SP_EPASSPHRASE && !passphrase_file && cli_ask_passphrase(room, path))
    status = sp_key_read_file(key, path, room, &why);
  else if (status == SP_EPASSPHRASE && !passphrase_file)
    snprintf(why.text, sizeof why.text, "%.160s: is encrypted: give --passphrase-file", path);
  explicit_bzero(room, sizeof room);
  return status < 0 ? cli_fail_with(&why) : CLI_OK;
}
