/* Addresses as text. */
#ifndef SP_STREAM_ADDRESS_H
#define SP_STREAM_ADDRESS_H

#include <stdbool.h>

#include <uv.h>

/* "192.0.2.1" and the port (port may be NULL). Returns 0 or libuv's error. */
int sp__address_text(const struct sockaddr *address, char *room, size_t size, int *port);

/* The local or remote address of a TCP handle, or the path of a pipe (port 0). */
int sp__address_of(const uv_stream_t *io, bool remote, char *room, size_t size, int *port);

/* The local address of a socket. */
int sp__address_of_fd(int fd, char *room, size_t size, int *port);

/* RFC 6761 6.3: localhost is this machine, also where no resolver says so: false for every other
 * name, else its address in the family (AF_INET or AF_INET6). */
bool sp__address_of_localhost(const char *host, int family, int port,
                              struct sockaddr_storage *address);

#endif
