/* `room`: cleartext goes where the program says, in pieces of any size, and each byte once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/flow.h"
#include "support/stage.h"

#define MB (1024u * 1024u)

typedef struct reader {
  duo_t *duo;
  uint8_t *room;
  size_t size;                             /* of the room; 0: none is given */
  void (*when_asked)(sp_stream_t *stream); /* NULL: nothing */
  size_t received, asked, largest;
  unsigned data_events, ends;
} reader_t;

static uint8_t *on_room(sp_stream_t *stream, size_t *size) {
  reader_t *reader = sp_stream_data(stream);
  assert_true(*size >= 65536); /* what the slab has */
  reader->asked++;
  if (reader->when_asked)
    reader->when_asked(stream);
  *size = reader->size;
  return reader->room;
}

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  reader_t *reader = sp_stream_data(stream);
  if (reader->room && reader->size) {
    assert_ptr_equal(bytes, reader->room);
    assert_in_range(n, 1, reader->size);
  }
  flow_check(reader->received, bytes, n);
  reader->received += n;
  reader->data_events++;
  reader->largest = n > reader->largest ? n : reader->largest;
}

static void on_end(sp_stream_t *stream, int status) {
  reader_t *reader = sp_stream_data(stream);
  assert_int_equal(status, 0);
  reader->ends++;
}

static void on_close(sp_stream_t *stream) {
  reader_t *reader = sp_stream_data(stream);
  duo_gone(reader->duo, stream);
}

static const sp_stream_events_t events = {
    .data = on_data, .end = on_end, .close = on_close, .room = on_room};

/* The client sends n bytes and ends; the accepted stream reads them. */
static void read_all(reader_t *reader, sp_protocol_t version, size_t n) {
  stage_t stage;
  duo_t duo;
  stage_open(&stage);
  duo_meet(&duo, &stage, SP_OPTIONS(.max_version = version), SP_OPTIONS(.max_version = version));
  reader->duo = &duo; // cppcheck-suppress autoVariables
  sp_stream_on(duo.accepted, &events, reader);
  flow_t flow = {.end_when_sent = true};
  flow_on(&flow, &duo, duo.client, false);
  flow_send(&flow, n);
  STAGE_UNTIL(&stage, reader->ends);
  assert_int_equal(reader->received, n);
  duo_part(&duo);
  stage_close(&stage);
}

static void check_size(size_t size, size_t n) {
  static uint8_t room[256 * 1024];
  assert_true(size <= sizeof room);
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    reader_t reader = {.room = room, .size = size};
    read_all(&reader, (sp_protocol_t)version, n);
    assert_true(reader.asked >= reader.data_events);
    assert_true(reader.largest <= size);
  }
}

static void test_room_of_a_slab(void **state) {
  (void)state;
  check_size(64 * 1024, MB);
  check_size(256 * 1024, MB);
}

static void test_room_of_less_than_a_record(void **state) {
  (void)state;
  check_size(1, 40000);
  check_size(1000, 300000);
  check_size(16383, MB);
}

static void test_no_room_is_the_slab(void **state) {
  (void)state;
  uint8_t byte;
  reader_t none = {.room = NULL, .size = 10}, empty = {.room = &byte, .size = 0};
  read_all(&none, SP_TLS1_3, MB);
  read_all(&empty, SP_TLS1_3, MB);
  assert_true(none.largest > 10 && empty.largest > 10);
}

/* The same when the reader stops after every piece, with records half read. */
static void resume(sp_stream_t *stream) {
  sp_stream_pause(stream);
  sp_stream_resume(stream);
}

static void test_pause_and_resume_when_asked(void **state) {
  (void)state;
  uint8_t room[700];
  reader_t reader = {.room = room, .size = sizeof room, .when_asked = resume};
  read_all(&reader, SP_TLS1_3, 300000);
}

static void pause_in_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  on_data(stream, bytes, n);
  sp_stream_pause(stream);
}

static void test_pause_with_a_record_half_read(void **state) {
  (void)state;
  stage_t stage;
  duo_t duo;
  uint8_t room[5000];
  sp_stream_events_t pausing = events;
  pausing.data = pause_in_data;
  stage_open(&stage);
  duo_meet(&duo, &stage, SP_OPTIONS(.half_open = SP_YES), SP_OPTIONS(.half_open = SP_YES));
  reader_t reader = {.duo = &duo, .room = room, .size = sizeof room};
  sp_stream_on(duo.accepted, &pausing, &reader);
  flow_t flow = {.end_when_sent = true};
  flow_on(&flow, &duo, duo.client, false);
  flow_send(&flow, 100000);
  while (!reader.ends) {
    unsigned before = reader.data_events;
    sp_stream_resume(duo.accepted);
    STAGE_UNTIL(&stage, reader.data_events > before || reader.ends);
    assert_true(reader.data_events <= before + 1);
  }
  assert_int_equal(reader.received, 100000);
  assert_in_range(reader.data_events, 20, 40); /* one more where a read ended within the room */
  duo_part(&duo);
  stage_close(&stage);
}

static void test_destroy_when_asked(void **state) {
  (void)state;
  stage_t stage;
  duo_t duo;
  uint8_t room[100];
  stage_open(&stage);
  duo_meet(&duo, &stage, SP_OPTIONS(.half_open = SP_YES), SP_OPTIONS(.half_open = SP_YES));
  reader_t reader = {
      .duo = &duo, .room = room, .size = sizeof room, .when_asked = sp_stream_destroy};
  sp_stream_on(duo.accepted, &events, &reader);
  flow_t flow = {.end_when_sent = true};
  flow_on(&flow, &duo, duo.client, false);
  flow_send(&flow, 10000);
  STAGE_UNTIL(&stage, !duo.accepted);
  assert_int_equal(reader.asked, 1);
  assert_int_equal(reader.data_events, 0);
  duo_part(&duo);
  stage_close(&stage);
}

/* A pipe does not go through the program, nor does what is dropped. */
static void test_a_pipe_asks_for_no_room(void **state) {
  (void)state;
  stage_t stage;
  duo_t duo;
  stage_open(&stage);
  duo_meet(&duo, &stage, SP_OPTIONS(.half_open = SP_YES), SP_OPTIONS(.half_open = SP_YES));
  reader_t reader = {.duo = &duo};
  sp_stream_on(duo.accepted, &events, &reader);
  assert_int_equal(sp_stream_pipe(duo.accepted, duo.accepted), 0);
  flow_t flow = {.end_when_sent = true};
  flow_on(&flow, &duo, duo.client, true);
  flow_send(&flow, 100000);
  STAGE_UNTIL(&stage, flow.received == 100000);
  assert_int_equal(reader.asked, 0);
  duo_part(&duo);
  stage_close(&stage);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_room_of_a_slab),
      cmocka_unit_test(test_room_of_less_than_a_record),
      cmocka_unit_test(test_no_room_is_the_slab),
      cmocka_unit_test(test_pause_and_resume_when_asked),
      cmocka_unit_test(test_pause_with_a_record_half_read),
      cmocka_unit_test(test_destroy_when_asked),
      cmocka_unit_test(test_a_pipe_asks_for_no_room),
  };
  return cmocka_run_group_tests_name("stream-room", tests, NULL, NULL);
}
