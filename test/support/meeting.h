/*
 * A client and a server of the library meet, say a word each, and part; what each saw is written
 * down. The client ends when it heard the server's word. All checks of a fixture apply.
 */
#ifndef TEST_SUPPORT_MEETING_H
#define TEST_SUPPORT_MEETING_H

#include <stdbool.h>
#include <stddef.h>

#include <securepair.h>

typedef struct meeting_side {
  char log[128]; /* "secure data end close", see fixture.h */
  int status;    /* of the secure callback */
  /* when the secure callback was called */
  bool authorized;
  char reason[64];    /* sp_stream_authorization_error; "" for NULL */
  sp_error_t verdict; /* zeros for NULL */
  char cipher[64], version[16], group[32], server_name[256], protocol[32];
  bool resumed;
  char peer[128];   /* subject of the other side's certificate; "" for none */
  int peer_chain;   /* how many certificates came */
  sp_error_t error; /* of the secure callback or the event */
  char got[32];     /* cleartext of the other side */
} meeting_side_t;

typedef struct meeting {
  meeting_side_t client, server;
} meeting_t;

#define MEETING_CLIENT_WORD "from the client"
#define MEETING_SERVER_WORD "from the server"

/* `connect` holds the client's options; host and port are put in. */
meeting_t meeting_hold(const sp_options_t *serve, const sp_options_t *connect);

/* What is known of a stream in its secure callback. */
void meeting_note(meeting_side_t *side, const sp_stream_t *stream);

#endif
