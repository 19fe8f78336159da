/*
 * Two secure pairs talk to each other in memory: no socket, no loop, no libuv. It shows what a pair
 * is: four ports and a state word, and a caller who carries the bytes.
 *
 *     pair-in-memory KEY CERT [NAME]     (the server's key and certificate; NAME: localhost)
 *
 * The client trusts CERT itself, so it should be self-signed and name NAME.
 */
#include <securepair/pair.h>
#include <string.h>

struct side {
  const char *name;
  sp_pair_t *pair;
  const char *line; /* what it has to say */
  size_t heard;     /* cleartext bytes it got */
};

static void print_state(const struct side *side) {
  static const struct {
    unsigned bit;
    const char *word;
  } words[] = {
      {SP_PAIR_WANTS_ENCRYPTED, "wants-encrypted"},
      {SP_PAIR_HAS_ENCRYPTED, "has-encrypted"},
      {SP_PAIR_HAS_CLEARTEXT, "has-cleartext"},
      {SP_PAIR_TAKES_CLEARTEXT, "takes-cleartext"},
      {SP_PAIR_SECURE, "secure"},
      {SP_PAIR_PEER_ENDED, "peer-ended"},
      {SP_PAIR_ENDED, "ended"},
      {SP_PAIR_FAILED, "failed"},
  };
  unsigned state = sp_pair_state(side->pair);
  printf("  %s:", side->name);
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (state & words[i].bit)
      printf(" %s", words[i].word);
  printf("\n");
}

/* Cleartext out: whatever the pair decrypted. */
static int hear(struct side *side) {
  char room[1024];
  size_t n;
  while (sp_pair_state(side->pair) & SP_PAIR_HAS_CLEARTEXT) {
    int status = sp_pair_cleartext_out(side->pair, room, sizeof room, &n);
    if (n > 0)
      printf("  %s hears: %.*s\n", side->name, (int)n, room);
    side->heard += n;
    if (status < 0)
      return status;
    if (n == 0)
      break;
  }
  return 0;
}

/* Cleartext in: the one line, as soon as the pair takes it. */
static int say(struct side *side) {
  size_t n = strlen(side->line), took;
  if (n == 0 || !(sp_pair_state(side->pair) & SP_PAIR_TAKES_CLEARTEXT))
    return 0;
  int status = sp_pair_cleartext_in(side->pair, side->line, n, &took);
  if (status < 0)
    return status;
  printf("  %s says: %.*s\n", side->name, (int)took, side->line);
  side->line += took;
  return 0;
}

/* Encrypted out of one, encrypted in to the other: the transport is this function. */
static int carry(struct side *from, struct side *to, size_t *moved) {
  const void *bytes;
  size_t n;
  while ((n = sp_pair_encrypted_out(from->pair, &bytes)) > 0) {
    int status = sp_pair_encrypted_in(to->pair, bytes, n); /* borrows the bytes ... */
    if (status == 0)
      status = hear(to);                                    /* ... decrypts from them ... */
    size_t taken = n - sp_pair_encrypted_release(to->pair); /* ... and gives them back */
    sp_pair_encrypted_sent(from->pair, taken);
    printf("%s -> %s: %zu bytes\n", from->name, to->name, taken);
    *moved += taken;
    if (status < 0)
      return status;
    if (taken == 0)
      break;
  }
  return 0;
}

/* One turn of the conversation; what moved is counted, so that the caller sees when all is quiet.
 */
static int turn(struct side *client, struct side *server, size_t *moved) {
  int status = say(client);
  if (status == 0)
    status = carry(client, server, moved);
  if (status == 0)
    status = say(server);
  if (status == 0)
    status = carry(server, client, moved);
  return status;
}

static int talk(struct side *client, struct side *server) {
  size_t moved;
  int status;
  do {
    moved = 0;
    status = turn(client, server, &moved);
    if (moved > 0) {
      print_state(client);
      print_state(server);
    }
    if (status == 0 && client->heard > 0 && server->heard > 0) {
      status = sp_pair_end(client->pair); /* both heard the other: close_notify, either way */
      if (status == 0)
        status = sp_pair_end(server->pair);
    }
  } while (status == 0 && moved > 0);
  return status;
}

static int make(struct side *side, sp_role_t role, const char *name, sp_error_t *why,
                const sp_options_t *options) {
  sp_context_t *context;
  int status = sp_context_new(&context, why, options);
  if (status < 0)
    return status;
  status = sp_pair_new(&side->pair, context, role, name, name != NULL, why);
  sp_context_release(context); /* the pair holds a reference of its own */
  return status;
}

/* Also a pair that failed has something to send: the alert. Whoever gets it fails by it. */
static void print_errors(struct side *client, struct side *server) {
  const struct side *sides[] = {client, server};
  size_t moved = 0;
  (void)carry(client, server, &moved);
  (void)carry(server, client, &moved);
  for (size_t i = 0; i < 2; i++) {
    if (!(sp_pair_state(sides[i]->pair) & SP_PAIR_FAILED))
      continue;
    fprintf(stderr, "%s: ", sides[i]->name);
    sp_error_print(stderr, sp_pair_error(sides[i]->pair));
  }
}

static bool is_complete(const struct side *side) {
  unsigned all = SP_PAIR_SECURE | SP_PAIR_PEER_ENDED | SP_PAIR_ENDED;
  return (sp_pair_state(side->pair) & all) == all && side->heard > 0;
}

int main(int argc, char **argv) {
  struct side client = {.name = "client", .line = "ping"};
  struct side server = {.name = "server", .line = "pong"};
  sp_error_t why;
  int exit_status = 1;
  if (argc < 3 || argc > 4)
    return fprintf(stderr, "usage: pair-in-memory KEY CERT [NAME]\n"), 2;
  if (make(&server, SP_SERVER, NULL, &why, SP_OPTIONS(.key_file = argv[1], .cert_file = argv[2])) <
          0 ||
      make(&client, SP_CLIENT, argc == 4 ? argv[3] : "localhost", &why,
           SP_OPTIONS(.ca_files = SP_LIST(argv[2]))) < 0) {
    sp_error_print(stderr, &why);
  } else if (talk(&client, &server) < 0) {
    print_errors(&client, &server);
  } else if (is_complete(&client) && is_complete(&server)) {
    printf("both ended: %s, %s, server %s\n", sp_pair_version(client.pair),
           sp_pair_cipher(client.pair),
           sp_pair_is_authorized(client.pair) ? "authorized" : "not authorized");
    exit_status = 0;
  }
  sp_pair_release(client.pair);
  sp_pair_release(server.pair);
  return exit_status;
}
