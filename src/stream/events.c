#include "stream/events.h"

#include <stdint.h>
#include <string.h>

#include "base/memory.h"

#define SPARE 8 /* tables that a loop keeps for streams to come */

typedef struct sp__table {
  sp_stream_events_t events; /* first */
  struct sp__table *next;    /* spare, or known */
  unsigned users;
  bool is_known; /* among the loop's tables, where it may get more users */
} sp__table_t;

static const sp_stream_events_t none;

static sp__table_t *table_of(const sp_stream_events_t *events) {
  return (sp__table_t *)(uintptr_t)events;
}

static bool is_same(const sp_stream_events_t *one, const sp_stream_events_t *other) {
  return !memcmp(one, other, sizeof *one);
}

/* The one used last is looked at first. */
static sp__table_t *find(sp__loop_t *loop, const sp_stream_events_t *events) {
  for (sp__table_t **link = &loop->tables, *table; (table = *link); link = &table->next)
    if (is_same(&table->events, events)) {
      *link = table->next;
      table->next = loop->tables;
      return loop->tables = table;
    }
  return NULL;
}

static void forget(sp__loop_t *loop, sp__table_t *table) {
  sp__table_t **link = &loop->tables;
  while (*link != table)
    link = &(*link)->next;
  *link = table->next;
  table->is_known = false;
}

static sp__table_t *make(sp__loop_t *loop) {
  sp__table_t *table = loop->spare_tables;
  if (table) {
    loop->spare_tables = table->next;
    loop->spare_count--;
  } else if (!(table = sp__alloc(sizeof *table))) {
    return NULL;
  }
  *table = (sp__table_t){.users = 1};
  return table;
}

const sp_stream_events_t *sp__events_new(sp__loop_t *loop) {
  sp__table_t *table = make(loop);
  return table ? &table->events : NULL;
}

void sp__events_release(sp__loop_t *loop, const sp_stream_events_t *events) {
  sp__table_t *table = table_of(events);
  if (!table || --table->users)
    return;
  if (table->is_known)
    forget(loop, table);
  if (loop->spare_count >= SPARE) {
    sp__free(table);
    return;
  }
  table->next = loop->spare_tables;
  loop->spare_tables = table;
  loop->spare_count++;
}

/* The table of a stream that has it alone, with other events. */
static void refill(sp__loop_t *loop, sp__table_t *table, const sp_stream_events_t *events) {
  table->events = *events;
  if (table->is_known)
    return;
  table->is_known = true;
  table->next = loop->tables;
  loop->tables = table;
}

bool sp__events_set(sp__loop_t *loop, const sp_stream_events_t **events,
                    const sp_stream_events_t *others) {
  sp__table_t *table = table_of(*events), *known;
  if (!others)
    others = &none;
  if ((known = find(loop, others))) {
    known->users++;
    sp__events_release(loop, *events);
    *events = &known->events;
    return true;
  }
  if (table->users > 1) {
    sp__table_t *own = make(loop);
    if (!own)
      return false;
    table->users--;
    table = own;
  }
  refill(loop, table, others);
  *events = &table->events;
  return true;
}

void sp__events_free_spare(sp__loop_t *loop) {
  while (loop->spare_tables) {
    sp__table_t *table = loop->spare_tables;
    loop->spare_tables = table->next;
    sp__free(table);
  }
}
