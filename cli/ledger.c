/* SQLite does what has to survive a crash and a concurrent call. */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "authority.h"

#define WAIT 60000 /* milliseconds for others that write */

struct cli_ledger {
  sqlite3 *db;
  char path[PATH_MAX];
};

static int failed(const cli_ledger_t *ledger, const char *doing) {
  return cli_fail("%s: cannot %s: %s", ledger->path, doing, sqlite3_errmsg(ledger->db));
}

static int run(cli_ledger_t *ledger, const char *sql, const char *doing) {
  return sqlite3_exec(ledger->db, sql, NULL, NULL, NULL) == SQLITE_OK ? CLI_OK
                                                                      : failed(ledger, doing);
}

/* -- opening ----------------------------------------------------------------------------------- */

static const char tables[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS certificate ("
    " serial TEXT PRIMARY KEY, subject TEXT NOT NULL, names TEXT NOT NULL, pem TEXT NOT NULL,"
    " valid_from INTEGER NOT NULL, valid_to INTEGER NOT NULL, signed_at INTEGER NOT NULL,"
    " revoked_at INTEGER NOT NULL DEFAULT 0, reason INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE IF NOT EXISTS list (number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER);"
    "PRAGMA user_version = 1;"
    "COMMIT;";

/* SQLite would make it with whatever umask there is. */
static int make_file(const cli_ledger_t *ledger) {
  int fd = open(ledger->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, CLI_SECRET);
  if (fd < 0)
    return cli_fail("cannot make %s: there is an authority in this folder, or it cannot be written",
                    ledger->path);
  close(fd);
  return CLI_OK;
}

static int open_db(cli_ledger_t *ledger, bool make) {
  if (make && make_file(ledger))
    return CLI_FAILED;
  if (!make && access(ledger->path, R_OK) != 0)
    return cli_fail("there is no authority at %s: \"securepair authority init\" makes one",
                    ledger->path);
  if (sqlite3_open_v2(ledger->path, &ledger->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
    return failed(ledger, "be opened");
  sqlite3_busy_timeout(ledger->db, WAIT);
  int status = run(ledger, "PRAGMA synchronous = FULL", "be opened");
  return status || !make ? status : run(ledger, tables, "be set up");
}

int cli_ledger_open(cli_ledger_t **made, const char *folder, bool make) {
  cli_ledger_t *ledger = calloc(1, sizeof *ledger);
  *made = NULL;
  cli_survive_limits();
  if (!ledger)
    return cli_fail("out of memory");
  int status = cli_authority_path(ledger->path, sizeof ledger->path, folder, "authority.db")
                   ? open_db(ledger, make)
                   : CLI_FAILED;
  if (status)
    cli_ledger_close(ledger);
  else
    *made = ledger;
  return status;
}

void cli_ledger_close(cli_ledger_t *ledger) {
  if (!ledger)
    return;
  sqlite3_close(ledger->db); /* what was begun and not committed never was */
  free(ledger);
}

int cli_ledger_begin(cli_ledger_t *ledger) { return run(ledger, "BEGIN IMMEDIATE", "be locked"); }

int cli_ledger_commit(cli_ledger_t *ledger) { return run(ledger, "COMMIT", "be written"); }

/* -- what is in it ----------------------------------------------------------------------------- */

static void bind_text(sqlite3_stmt *statement, int at, const char *text) {
  sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

int cli_ledger_add(cli_ledger_t *ledger, const cli_entry_t *entry) {
  sqlite3_stmt *statement = NULL;
  static const char sql[] = "INSERT INTO certificate"
                            " (serial, subject, names, pem, valid_from, valid_to, signed_at)"
                            " VALUES (?, ?, ?, ?, ?, ?, ?)";
  bool fine = sqlite3_prepare_v2(ledger->db, sql, -1, &statement, NULL) == SQLITE_OK;
  if (fine) {
    bind_text(statement, 1, entry->serial);
    bind_text(statement, 2, entry->subject);
    bind_text(statement, 3, entry->names);
    bind_text(statement, 4, entry->pem);
    sqlite3_bind_int64(statement, 5, entry->valid_from);
    sqlite3_bind_int64(statement, 6, entry->valid_to);
    sqlite3_bind_int64(statement, 7, entry->signed_at);
    fine = sqlite3_step(statement) == SQLITE_DONE;
  }
  int status = fine ? CLI_OK : failed(ledger, "take the certificate");
  sqlite3_finalize(statement);
  return status;
}

static int set_revoked(cli_ledger_t *ledger, const char *serial, int reason, int *changed) {
  sqlite3_stmt *statement = NULL;
  static const char sql[] = "UPDATE certificate SET revoked_at = ?, reason = ?"
                            " WHERE serial = ? AND revoked_at = 0";
  bool fine = sqlite3_prepare_v2(ledger->db, sql, -1, &statement, NULL) == SQLITE_OK;
  if (fine) {
    sqlite3_bind_int64(statement, 1, (int64_t)time(NULL));
    sqlite3_bind_int(statement, 2, reason);
    bind_text(statement, 3, serial);
    fine = sqlite3_step(statement) == SQLITE_DONE;
    *changed = sqlite3_changes(ledger->db);
  }
  int status = fine ? CLI_OK : failed(ledger, "take the revocation");
  sqlite3_finalize(statement);
  return status;
}

static bool knows(cli_ledger_t *ledger, const char *serial) {
  sqlite3_stmt *statement = NULL;
  bool found = false;
  if (sqlite3_prepare_v2(ledger->db, "SELECT 1 FROM certificate WHERE serial = ?", -1, &statement,
                         NULL) == SQLITE_OK) {
    bind_text(statement, 1, serial);
    found = sqlite3_step(statement) == SQLITE_ROW;
  }
  sqlite3_finalize(statement);
  return found;
}

int cli_ledger_revoke(cli_ledger_t *ledger, const char *serial, int reason) {
  int changed = 0, status = set_revoked(ledger, serial, reason, &changed);
  if (status || changed)
    return status;
  if (knows(ledger, serial))
    return cli_fail("certificate %s is revoked already", serial);
  return cli_fail(
      "this authority has signed no certificate %s: \"securepair authority list\" shows "
      "those it has",
      serial);
}

int cli_ledger_next_list(cli_ledger_t *ledger, uint64_t *number) {
  int status =
      run(ledger, "INSERT INTO list (at) VALUES (strftime('%s', 'now'))", "number the list");
  *number = (uint64_t)sqlite3_last_insert_rowid(ledger->db);
  return status;
}

static const char *text_of(sqlite3_stmt *statement, int column) {
  const unsigned char *text = sqlite3_column_text(statement, column);
  return text ? (const char *)text : "";
}

int cli_ledger_each(cli_ledger_t *ledger, cli_each_t each, void *data) {
  sqlite3_stmt *statement = NULL;
  static const char sql[] = "SELECT serial, subject, names, pem, valid_from, valid_to, signed_at,"
                            " revoked_at, reason FROM certificate ORDER BY rowid";
  int result = sqlite3_prepare_v2(ledger->db, sql, -1, &statement, NULL);
  while (result == SQLITE_OK && (result = sqlite3_step(statement)) == SQLITE_ROW) {
    cli_entry_t entry = {.serial = text_of(statement, 0),
                         .subject = text_of(statement, 1),
                         .names = text_of(statement, 2),
                         .pem = text_of(statement, 3),
                         .valid_from = sqlite3_column_int64(statement, 4),
                         .valid_to = sqlite3_column_int64(statement, 5),
                         .signed_at = sqlite3_column_int64(statement, 6),
                         .revoked_at = sqlite3_column_int64(statement, 7),
                         .reason = sqlite3_column_int(statement, 8)};
    each(&entry, data);
    result = SQLITE_OK;
  }
  int status = result == SQLITE_DONE ? CLI_OK : failed(ledger, "be read");
  sqlite3_finalize(statement);
  return status;
}
