/* What `securepair serve` gives up once its keys are read and its port is bound. */
#include <string.h>
#include <unistd.h>

#include "privileges.h"
#include "sandbox.h"
#include "serving.h"

/* Where reloading reads, and what is served. */
static void add_folders(cli_folders_t *folders, const cli_serve_t *serve) {
  for (size_t i = 0; i < serve->identity_count; i++) {
    cli_folders_add_file(folders, serve->identities[i].cert_file);
    cli_folders_add_file(folders, serve->identities[i].key_file);
  }
  cli_folders_add_file(folders, serve->options.client_ca);
  cli_folders_add(folders, serve->options.sni_folder);
  cli_folders_add(folders, serve->options.www);
  for (const char **more = serve->options.readable; more && *more; more++)
    cli_folders_add(folders, *more);
}

static void tell(const cli_serve_t *serve, const cli_sandbox_t *sandbox, size_t folders) {
  json_t *facts = json_object();
  json_object_set_new(facts, "user", json_integer((json_int_t)geteuid()));
  json_object_set_new(facts, "no_new_privileges", json_boolean(sandbox->no_new_privileges));
  json_object_set_new(facts, "landlock_files", json_boolean(sandbox->files));
  json_object_set_new(facts, "landlock_network", json_boolean(sandbox->network));
  json_object_set_new(facts, "seccomp", json_boolean(sandbox->calls));
  json_object_set_new(facts, "folders", json_integer((json_int_t)folders));
  cli_log_put(serve->log, "sandbox", facts);
}

int cli_serve_confine(const cli_serve_t *serve) {
  const cli_serve_options_t *o = &serve->options;
  cli_sandbox_t sandbox = {.calls = false};
  cli_folders_t folders = {.count = 0};
  if (o->user && cli_become(o->user))
    return CLI_FAILED;
  if (geteuid() == 0)
    cli_log_say(serve->log, "warning", "it runs as root: --user NAME gives up root's rights");
  if (o->no_sandbox)
    return CLI_OK;
  cli_sandbox_begin(&sandbox);
  if (!o->exec) {
    add_folders(&folders, serve);
    cli_sandbox_close(&sandbox, &folders);
  }
  tell(serve, &sandbox, folders.count);
  cli_folders_free(&folders);
  return CLI_OK;
}
