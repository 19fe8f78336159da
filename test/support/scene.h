/*
 * A folder of its own with the files of a watch in it, ways to replace them, and what the watch
 * told of it. Two pairs of key and certificate, A and B, by the default authority.
 */
#ifndef TEST_SUPPORT_SCENE_H
#define TEST_SUPPORT_SCENE_H

#include <stdbool.h>
#include <stddef.h>

#include <securepair.h>

#include "support/pki.h"
#include "support/stage.h"
#include "watch/watch.h"

/* The system tells nothing of changes, as on a network file system. */
extern bool scene_is_silent;

/* -- files, by their names in the folder ------------------------------------------------------- */

const char *path(const char *name); /* one of the last eight */
void remove_all(const char *path);
void make_folder(const char *name);
void link_to(const char *target, const char *name); /* in place of what is there */
void write_to(const char *name, const char *text, size_t n);

/* The ways in which a file is replaced. */
typedef void (*replace_t)(const char *name, const char *text);
void in_place(const char *name, const char *text);
void by_rename(const char *name, const char *text);
void made_again(const char *name, const char *text);
extern const replace_t ways[3];
#define WAYS 3u

/* -- keys and certificates --------------------------------------------------------------------- */

extern const pki_t *a, *b;                     /* made by scene_open, once */
void put(const pki_t *pki, replace_t replace); /* in "key" and "cert" */

/* -- a watch ----------------------------------------------------------------------------------- */

typedef struct scene {
  stage_t stage;
  uv_async_t alive; /* the loop waits instead of turning */
  sp_watch_t *watch;
  unsigned changes, faults;
  sp_error_t error; /* the last one told */
  bool is_closed;
} scene_t;

#define EVENTS -1 /* look only when told */
#define POLLS 20

#define FILES(...) SP_OPTIONS(.key_file = path("key"), .cert_file = path("cert"), __VA_ARGS__)
#define BY_EVENTS .watch_interval = EVENTS, .watch_grace = 120

void scene_open(scene_t *s); /* an empty folder */
void scene_watch(scene_t *s, const sp_options_t *options);
void scene_begin(scene_t *s); /* both, with A and BY_EVENTS */
void scene_end(scene_t *s);

void scene_on_change(sp_watch_t *watch, int status);
void scene_on_closed(sp_watch_t *watch);

/* Looks at once, and until there is nothing more to see. */
void check(scene_t *s);

/* Whose certificate is in force; its key is the one that belongs to it. */
const char *in_force(const scene_t *s);

/* Waits until it is told; nothing else may be told meanwhile. */
void expect_change(scene_t *s, const char *name);
void expect_fault(scene_t *s, int status, const char *words);

#endif
