/* Telling a service manager how we are: sd_notify(3)'s protocol. */
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

/* A descriptor to tell to, or -1 where nobody asked ($NOTIFY_SOCKET). */
int cli_notify_open(void);

/* "READY=1". -1 is fine. */
void cli_notify(int fd, const char *state);

#endif
