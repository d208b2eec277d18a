/* hearer.h - who hears the rows of what takes a while: a client of the control socket, or stdout */
#ifndef RK_HEARER_H
#define RK_HEARER_H

#include <stdbool.h>

struct ctl_client;
struct daemon;

/* Each row is the hearer's (free), NULL: no memory for it; over comes once, and then nothing more. */
struct hearer {
    void (*row)(void *arg, char *row);
    void (*over)(void *arg, bool ok, const char *text);
    void *arg;
};

/* A rekeyd that was started for this only. */
struct alone {
    struct daemon *d;
    bool ok; /* how it ended */
};

/* hearer_of_ctl - this client.   hearer_of_stdout - each row is a line, at the end {"over": ...}, and the loop ends */
struct hearer hearer_of_ctl(struct ctl_client *c);
struct hearer hearer_of_stdout(struct alone *a);

#endif
