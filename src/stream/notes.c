/* What the engine says in passing, sessions and key log lines, told once the engine is left: there
 * the program may do anything, destroy the stream included. */
#include "stream/notes.h"

#include <string.h>

#include "base/memory.h"
#include "pair/pair.h"

#define SESSIONS 2 /* of a flood of tickets the last ones are told */

typedef struct sp__note {
  struct sp__note *next;
  size_t n;
  bool is_session;
  char bytes[]; /* with a NUL after them */
} sp__note_t;

static void note_free(sp__note_t *note) {
  sp__wipe(note->bytes, note->n);
  sp__free(note);
}

static void take_out(sp__note_t **link) {
  sp__note_t *note = *link;
  *link = note->next;
  note_free(note);
}

void sp__notes_drop(sp_stream_t *stream) {
  while (stream->notes)
    take_out(&stream->notes);
}

/* Without memory there is one the less. */
static void add(sp_stream_t *stream, bool is_session, const void *bytes, size_t n) {
  sp__note_t *note = sp__alloc(sizeof *note + n + 1), **end = &stream->notes;
  if (!note)
    return;
  *note = (sp__note_t){.n = n, .is_session = is_session};
  memcpy(note->bytes, bytes, n);
  note->bytes[n] = '\0';
  while (*end)
    end = &(*end)->next;
  *end = note;
}

static void drop_old_session(sp_stream_t *stream) {
  sp__note_t **oldest = NULL;
  unsigned count = 0;
  for (sp__note_t **link = &stream->notes; *link; link = &(*link)->next)
    if ((*link)->is_session && !count++)
      oldest = link;
  if (count >= SESSIONS)
    take_out(oldest);
}

void sp__notes_session(void *owner, const void *bytes, size_t n) {
  sp_stream_t *stream = owner;
  if (stream->closing)
    return;
  drop_old_session(stream);
  add(stream, true, bytes, n);
}

/* Lines of the handshake wait for a listener, which a server's stream gets when it is secure. */
void sp__notes_keylog(void *owner, const char *line) {
  sp_stream_t *stream = owner;
  if (!stream->closing && (stream->events->keylog || !stream->told))
    add(stream, false, line, strlen(line));
}

static void tell(sp_stream_t *stream, const sp__note_t *note) {
  if (!note->is_session && stream->events->keylog)
    stream->events->keylog(stream, note->bytes);
  else if (note->is_session && stream->events->session)
    stream->events->session(stream, note->bytes, note->n);
}

void sp__notes_tell(sp_stream_t *stream) {
  while (stream->notes && !stream->closing) {
    sp__note_t *note = stream->notes;
    bool is_due = stream->told || (!note->is_session && stream->events->keylog);
    if (!is_due)
      return;
    stream->notes = note->next;
    tell(stream, note);
    note_free(note);
  }
}

/* TLS 1.2: the session was there before anybody could be told. */
void sp__notes_secure(sp_stream_t *stream) {
  if (!stream->closing && stream->events->session)
    sp__pair_tell_owner(stream->pair);
  sp__notes_tell(stream);
}
