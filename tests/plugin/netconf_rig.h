/* netconf_rig.h - what the tests of the NETCONF client share: a server, a target that fits, a session
 *
 * Each test begins with rig_set_up and ends with rig_tear_down, which fails it when a session or a descriptor is left.
 */
#ifndef RK_NETCONF_RIG_H
#define RK_NETCONF_RIG_H

#include "fakehost.h"
#include "netconf_server.h"
#include "scratch.h"

#include "plugins/common/netconf/netconf.h"

#define BUDGET_MS 20000
#define OK_REPLY "<rpc-reply message-id=\"$ID\"><ok/></rpc-reply>\n"
#define HELLO {SRV_SEND, SRV_HELLO_1_0, 0}
#define ASKED {SRV_READ, NULL, 0}, {SRV_READ, NULL, 0} /* its hello, its request */

extern struct srv srv;
extern struct scratch scratch;
extern struct rk_call call;
extern struct nc_session *nc;
extern struct nc_reply *reply;
extern struct rk_secret *key;
extern struct nc_target target;     /* trusts srv, logs in with any key */
extern char known_line[2048];       /* of srv, in known_hosts */
extern atomic_bool resolver_hangs;  /* looking up a name does not end */
extern const struct srv_step greets[]; /* a hello, and nothing more */

int rig_set_up(void **state);
int rig_tear_down(void **state);
int rig_start_ssh(void **state);
int rig_end_ssh(void **state);
#define T(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

/* now_ms, open_fds - of this process */
int64_t now_ms(void);
int open_fds(void);

/* use_key - log in with it, encrypted when there is a passphrase;  trust - what known_hosts holds;  let_in - make a key
 * of this type, the only one that srv lets in, and log in with it */
void use_key(ssh_key k, const char *passphrase);
void trust(const char *line);
void let_in(enum ssh_keytypes_e type, const char *passphrase);

/* start - srv plays this script, with a host key of ed25519 or of this type, and target goes there;  stop - end it */
void start_with(enum ssh_keytypes_e type, const struct srv_step *script);
void start(const struct srv_step *script);
void stop(void);

/* opens, ask_for - nc_open to nc, nc_rpc to reply;  must_... - with this outcome */
int opens(void);
int ask_for(const char *body);
void assert_says(const char *text);
void must_open(void);
void must_not_open(int code, const char *text);
void must_ask(int code);

#endif
