#include "base/finale.h"

#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t left = PTHREAD_COND_INITIALIZER;
static unsigned at_work;
static bool is_over;
static _Thread_local bool
    works; /* whoever ends the process in an allocator, say, is not waited for */

bool sp__finale_begin(void) {
  pthread_mutex_lock(&lock);
  works = !is_over;
  at_work += works;
  pthread_mutex_unlock(&lock);
  return works;
}

void sp__finale_end(void) {
  pthread_mutex_lock(&lock);
  works = false;
  at_work--;
  pthread_cond_signal(&left);
  pthread_mutex_unlock(&lock);
}

static void on_exit_of_process(void) {
  pthread_mutex_lock(&lock);
  is_over = true;
  while (at_work > works)
    pthread_cond_wait(&left, &lock);
  pthread_mutex_unlock(&lock);
}

/* A child has none of these threads. */
static void in_child(void) {
  static const pthread_mutex_t fresh_lock = PTHREAD_MUTEX_INITIALIZER;
  static const pthread_cond_t fresh_cond = PTHREAD_COND_INITIALIZER;
  lock = fresh_lock;
  left = fresh_cond;
  at_work = 0;
}

/* Handlers run in turn, the last one first: OpenSSL's has been there since the first context.
 * Without memory for them it is as without this file. */
static void begin(void) {
  (void)atexit(on_exit_of_process);
  (void)pthread_atfork(NULL, NULL, in_child);
}

void sp__finale_watch(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, begin);
}
