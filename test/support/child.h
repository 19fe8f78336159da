/*
 * A program run by a libuv loop: what it says is kept, what it is told is written to its standard
 * input. A test ends it, or waits until it ended; none is left behind.
 */
#ifndef TEST_SUPPORT_CHILD_H
#define TEST_SUPPORT_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#define CHILD_ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

typedef struct child child_t;

/* Whether there is a program of that name on the PATH. */
bool child_exists(const char *program);

/* The program of args[0] by PATH, on the loop. NULL: there is none, and the test says skip(). A
 * watchdog of 60 s ends the test program. */
child_t *child_start(uv_loop_t *loop, const char *const *args);

/* More standard input (copied), and its end. */
void child_tell(child_t *child, const void *bytes, size_t n);
void child_tell_end(child_t *child);

/* Called whenever it said something or ended. */
void child_on_news(child_t *child, void (*on_news)(child_t *child, void *data), void *data);

/* What it said so far: both are NUL-terminated, valid until more comes. */
const char *child_out(const child_t *child, size_t *n);
const char *child_err(const child_t *child);
bool child_said(const child_t *child, const char *words); /* on either */

/* Runs the loop until the child said the words, or until it ended: whether it said them. */
bool child_wait_for(child_t *child, const char *words);

int child_pid(const child_t *child);
void child_kill(child_t *child, int signal);
bool child_ended(const child_t *child); /* its outputs too */

/* Runs the loop until it ended. Its exit status, or -signal. */
int child_wait(child_t *child);

/* Kills it if need be, waits, and forgets it. NULL is fine. */
void child_free(child_t *child);

#endif
