#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct passwd *find(const char *user) {
  char *end;
  const struct passwd *entry = getpwnam(user);
  if (entry || !*user)
    return entry;
  unsigned long number = strtoul(user, &end, 10);
  return *end || *user == '-' ? NULL : getpwuid((uid_t)number);
}

/* Asked of the system, rather than believed. */
static bool is_only(uid_t uid, gid_t gid) {
  uid_t uids[3];
  gid_t gids[3];
  if (getresuid(uids, uids + 1, uids + 2) < 0 || getresgid(gids, gids + 1, gids + 2) < 0)
    return false;
  for (int i = 0; i < 3; i++)
    if (uids[i] != uid || gids[i] != gid)
      return false;
  return uid == 0 || (setuid(0) < 0 && setgid(0) < 0);
}

int cli_become(const char *user) {
  const struct passwd *entry = find(user);
  if (!entry)
    return cli_fail("--user %s: there is no such user", user);
  uid_t uid = entry->pw_uid;
  gid_t gid = entry->pw_gid;
  if (getuid() == uid && geteuid() == uid && uid != 0)
    return is_only(uid, gid) /* we are that already */
               ? CLI_OK
               : cli_fail("--user %s: this process has that user's rights and more; only root can "
                          "give them up",
                          user);
  if (uid == 0)
    return cli_fail("--user %s: that is root, who keeps all rights: name another", user);
  if (initgroups(entry->pw_name, gid) < 0 || setresgid(gid, gid, gid) < 0 ||
      setresuid(uid, uid, uid) < 0)
    return cli_fail("--user %s: %s: only root can become another user", user, strerror(errno));
  return is_only(uid, gid) ? CLI_OK
                           : cli_fail("--user %s: the rights of before could be taken again", user);
}
