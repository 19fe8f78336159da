#include "watch/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/error.h"
#include "base/memory.h"
#include "context/build.h"

#define FRESH 2 /* seconds: the slowest clock in use, FAT's */

static void look(const char *path, sp__file_state_t *state) {
  struct stat found;
  if (stat(path, &found) < 0) {
    *state = (sp__file_state_t){.error = errno};
    return;
  }
  *state = (sp__file_state_t){
      .device = found.st_dev,
      .inode = found.st_ino,
      .size = (uint64_t)found.st_size,
      .changed = {found.st_mtim.tv_sec, found.st_mtim.tv_nsec, found.st_ctim.tv_sec,
                  found.st_ctim.tv_nsec},
  };
}

void sp__files_look(const char *const *paths, size_t count, sp__file_state_t *states) {
  for (size_t i = 0; i < count; i++)
    look(paths[i], &states[i]);
}

bool sp__files_are_fresh(const sp__file_state_t *states, size_t count) {
  int64_t now = time(NULL);
  for (size_t i = 0; i < count; i++)
    if (states[i].changed[0] >= now - FRESH || states[i].changed[2] >= now - FRESH)
      return true;
  return false;
}

static int digest_bytes(int fd, const char *path, EVP_MD_CTX *hash, sp_error_t *why) {
  char room[8192];
  uint64_t size = 0;
  ssize_t got;
  bool fine = true;
  while (fine && size <= SP__TRUST_LIMIT && (got = read(fd, room, sizeof room)) != 0) {
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      sp__wipe(room, sizeof room);
      return sp__fail_system(why, errno, "cannot read %s", path);
    }
    size += (uint64_t)got;
    fine = EVP_DigestUpdate(hash, room, (size_t)got);
  }
  sp__wipe(room, sizeof room);
  if (size > SP__TRUST_LIMIT)
    return sp__fail(why, -EFBIG, SP_US, "%s is larger than %zu bytes: is it the right file?", path,
                    SP__TRUST_LIMIT);
  return fine && EVP_DigestUpdate(hash, &size, sizeof size)
             ? 0
             : sp__fail_crypto(why, SP_ECRYPTO, "no digest of %s can be made", path);
}

/* What is no regular file could be read once only, or never end. */
static int digest_file(const char *path, EVP_MD_CTX *hash, sp_error_t *why) {
  struct stat found;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return sp__fail_system(why, errno, "cannot open %s", path);
  int status;
  if (fstat(fd, &found) < 0)
    status = sp__fail_system(why, errno, "cannot read %s", path);
  else if (!S_ISREG(found.st_mode))
    status = sp__fail(why, SP_EOPTION, SP_US, "%s: is no regular file: it cannot be watched", path);
  else
    status = digest_bytes(fd, path, hash, why);
  close(fd);
  return status;
}

int sp__files_digest(const char *const *paths, size_t count, uint8_t digest[static SP__DIGEST_SIZE],
                     sp_error_t *why) {
  memset(digest, 0, SP__DIGEST_SIZE);
  EVP_MD_CTX *hash = EVP_MD_CTX_new();
  if (!hash || !EVP_DigestInit_ex(hash, EVP_sha256(), NULL)) {
    EVP_MD_CTX_free(hash);
    return sp__fail_crypto(why, SP_ECRYPTO, "no digest of the files can be made");
  }
  int status = 0;
  for (size_t i = 0; i < count && !status; i++)
    status = digest_file(paths[i], hash, why);
  if (!status && !EVP_DigestFinal_ex(hash, digest, NULL))
    status = sp__fail_crypto(why, SP_ECRYPTO, "no digest of the files can be made");
  EVP_MD_CTX_free(hash);
  return status;
}
