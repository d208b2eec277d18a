/* limits.h - every limit of rekeyd, with its reason
 *
 * Sizes that are part of the plugin ABI are in include/rekey/.
 */
#ifndef RK_LIMITS_H
#define RK_LIMITS_H

/* One frame between rekeyd and a host, or rekeyctl [bytes]: 64 items of a call with their texts fit;
 * well below the default socket buffer (212,992), so a send never needs to be split. */
#define RK_FRAME_MAX 131072
/* Descriptors in one frame: the kernel's SCM_MAX_FD is 253; two per item are needed, a key and its channel key. */
#define RK_FRAME_FDS 128
/* Items in one call: bounds the frame, and how long one batch can hold a device. */
#define RK_BATCH_MAX 64
/* Names of instances, plugins [bytes]. */
#define RK_NAME_MAX 32
/* A confirm or record tag [hex digits]: HMAC-SHA-256 cut to 16 bytes, so that a record fits an LLDP description. */
#define RK_CONFIRM_HEX 32
/* A chassis or port ID as text [bytes]: a MAC address, an address, a name.  The standard allows 255 octets of anything,
 * of which nobody makes use. */
#define RK_PIN_MAX 64
/* Channels of one link: one by the wire, one beside it, and one by hand. */
#define RK_PATHS_MAX 3
/* What stands before a key ID that comes without a record (RK_CAP_BARE of channels). */
#define RK_BARE_MARK '='
/* An auth-key file [bytes]: 100,000 links of 32 and a key of 64 characters fit.  Keys of one link in it: one that is
 * replaced, its successor, and as many again for those who are slow. */
#define RK_AUTH_FILE_MAX (16 * 1024 * 1024)
#define RK_AUTH_KEYS_MAX 4
/* The least that is in one [bytes]: as long as a tag. */
#define RK_AUTH_KEY_MIN 16
/* How often it is looked whether the file has changed, at most [ms]: a look costs less than the tags of a batch. */
#define RK_AUTH_LOOK_MS 1000
/* A channel key [bytes], as SHA-256 gives it.  Of a link at most so many: of the key before, of the one in use, of the
 * candidate, and of one that was given up and that the peer may use yet. */
#define RK_CHANKEY_BYTES 32
#define RK_CHANKEYS_MAX 4
/* A wrapped one [hex digits]: nonce, key and tag of AES-256-GCM. */
#define RK_WRAP_HEX (2 * (12 + RK_CHANKEY_BYTES + 16))
/* How long a rotation waits for a channel's host that is not there to take the channel key [ms]: a host that died is
 * back within this, unless it dies again and again. */
#define RK_RATCHET_WAIT_MS 10000
/* Records with a good tag that one link may bring [per s], and at once: a rotation has four of each end and takes a
 * tenth of a second at least, so this is more than any link can mean, and a hundredth of what a loop can read. */
#define RK_RECORDS_PER_S 50
#define RK_RECORDS_BURST 100
/* Records of one link that are known again: what is under way on its paths at once.  A repeat tells that the peer is
 * there, and nothing else: it is passed on so often [ms], a third of the shortest time of NO-PEER. */
#define RK_REPEATS_MAX 8
#define RK_REPEAT_MS 100
/* Sources of one link: two UUIDs and something short are what fits a key ID. */
#define RK_PARTS_MAX 3
/* Error text of a call [bytes]. */
#define RK_TEXT_MAX 400
/* Options of one plugin, and choices of one option: a schema is a page, not a book. */
#define RK_OPTS_MAX 128
#define RK_CHOICES_MAX 32
/* One option's value [bytes]. */
#define RK_VALUE_MAX 1024

/* A configuration file [bytes], its nesting, its nodes: 100,000 links of 160 bytes fit. */
#define RK_CONF_BYTES_MAX (64 * 1024 * 1024)
#define RK_CONF_DEPTH_MAX 16
#define RK_CONF_NODES_MAX 4000000
/* Errors shown at once: more help nobody. */
#define RK_CONF_ERRORS_MAX 50

/* Worker threads of one host (design 3). */
#define RK_WORKERS_MAX 64
/* Steps of one test of a source: a plugin that states more has gone mad. */
#define RK_STEPS_MAX 200
/* Lines of one prepare, for at most RK_BATCH_MAX interfaces; links of one discover: no device has as many ports. */
#define RK_LINES_MAX 4096

/* What a device is told to be prepared for, when it is not for its links: a word and its settings, some 15 short texts
 * (names, paths, a URL).  They travel as one text with a newline between. */
#define RK_WORDS_MAX 3072
#define RK_WORDS 32
#define RK_FOUND_MAX 4096
/* Neighbours of one interface that are told: a link has one, and more than a few are an attack. */
#define RK_HEARD_MAX 8
/* Budget of a look for links, and of telling what a device needs [ms]: the default, and the most that may be asked for.
 * Committing that has the budget of every call to a device. */
#define RK_DISCOVER_MS 30000
#define RK_DISCOVER_MAX_MS 600000
/* Budget of keeping a device's session alive [ms]: it waits for nothing. */
#define RK_TEND_BUDGET_MS 1000
/* How often links are looked for (discover-every) [ms], and after how many looks without it a link goes. */
#define RK_DISCOVER_EVERY_MS 600000
#define RK_DISCOVER_ROUNDS 3
/* Budget of a test of a source, all its peers together [ms]: the default, and the most that an operator may ask for. */
#define RK_SOURCE_TEST_MS 20000
#define RK_SOURCE_TEST_MAX_MS 600000
/* Instances in one host. */
#define RK_INSTANCES_MAX 16384
/* What a plugin gets after its cancel descriptor became readable, before its host is killed [ms]. */
#define RK_GRACE_MS 1000
/* A host that has not said hello by then is killed [ms]. */
#define RK_HELLO_MS 10000
/* Pauses between restarts of a host [ms]: doubled from the first to the last, reset after a minute of life. */
#define RK_RESTART_MIN_MS 100
#define RK_RESTART_MAX_MS 30000
#define RK_RESTART_GOOD_MS 60000
/* A host that dies so often, without a minute of life in between, is not started any more: with the pauses above that
 * takes a minute and a half, in which it has done nothing for anybody. */
#define RK_DEATHS_MAX 10
/* A device or source in whose calls its host has died so often is left alone: at first so long [ms], doubled up to the
 * last.  Once may be bad luck; a second time costs all others of the plugin another restart. */
#define RK_QUARANTINE_DEATHS 2
/* Calls like that one which must come back until it is trusted again: some die in every second one. */
#define RK_QUARANTINE_GOOD 8
#define RK_QUARANTINE_MIN_MS 5000
#define RK_QUARANTINE_MAX_MS 600000

/* What an operator may choose as the budget of a call to a device (call-budget) [ms]: a local one needs no second, a
 * commit of a big router takes minutes. */
#define RK_CALL_BUDGET_MIN_MS 1000
#define RK_CALL_BUDGET_MAX_MS 600000
/* What an apply keeps of its budget to find out what became of a commit (options with RK_OPT_APPLY) [ms]. */
#define RK_APPLY_SPARE_MS 30000
/* Budgets of calls [ms].  APPLY is the default of call-budget, which bounds OBSERVE and SOURCE as well. */
#define RK_INIT_BUDGET_MS 10000
#define RK_SOURCE_BUDGET_MS 10000
#define RK_APPLY_BUDGET_MS 60000
#define RK_OBSERVE_BUDGET_MS 30000
/* How old an answer of a device may be that came with a change of it [ms]: one entry of the journal is written between
 * the two, and a disk that takes longer than this is ill.  A device of then may be another one by now. */
#define RK_READING_MAX_MS 1000
/* Groups that the journal commits: at most so many a second, after so many at once.  A rotation needs ten of them, so
 * that some can go on at once without a pause; of a busy daemon a step waits for 10 ms at most. */
#define RK_COMMITS_PER_S 100
#define RK_COMMITS_BURST 50
/* The host mixes keys by itself, and at once. */
#define RK_MIX_BUDGET_MS 5000
#define RK_PUBLISH_BUDGET_MS 10000
/* A channel puts a record into a text and finds it in one, and waits for nothing; the STAGE of a key waits for it. */
#define RK_CODE_BUDGET_MS 1000
#define RK_WATCH_BUDGET_MS 30000
/* A channel learns of up to RK_BATCH_MAX links, and asks nobody else for more than a moment. */
#define RK_ATTACH_BUDGET_MS 10000

/* From when on the end of a credential is an alarm [days]: an office that signs certificates answers within weeks, and
 * certificates that live for 90 days are commonly renewed when 30 are left, so that what renews by itself is silent. */
#define RK_EXPIRY_ALARM_DAYS 30
/* How often the calendar is looked at for that [ms]: the clock may be set, and an alarm may be an hour late. */
#define RK_EXPIRY_LOOK_MS 3600000

/* Secret files [bytes]: a key or a short PEM. */
#define RK_SECRET_FILE_MAX 4096

/* A key pool file [bytes]: a million keys of 100 bytes. */
#define RK_POOL_BYTES_MAX (100 * 1024 * 1024)
#define RK_POOL_KEYS_MAX 1000000
/* A key that rekeyctl makes for a pool [bytes]: the largest that a link asks for (key-bits). */
#define RK_POOL_KEY_MAX 512

/* Clients of the control socket at once. */
#define RK_CTL_CLIENTS_MAX 32

#endif
