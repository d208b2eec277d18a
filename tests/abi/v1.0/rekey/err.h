/* err.h - the error codes of rekeyd
 *
 * Every function of a plugin returns int: RK_OK, or one of these negative codes; the text for a
 * person is given apart, by rk_host.fail().  Each code belongs to one class, and the class is what
 * the scheduler acts on:
 *   RETRY    not done and may work later: retried with growing pauses, the old key stays
 *   OBSERVE  the outcome is unknown: the device is read back before anything else is done to it
 *   CONFIG   will not work until a person changes something: alarmed, still retried, slowly
 *   SUPPLY   the source has no key to give: the old key stays, retried
 *   BUG      a plugin or a peer broke the contract: counted against it
 *   FATAL    the host process must end and be started again
 */
#ifndef REKEY_ERR_H
#define REKEY_ERR_H

enum rk_err {
    RK_OK = 0,
    /* class RETRY: not done */
    RK_E_UNREACHABLE = -1000, /* no connection to the device, KME or peer */
    RK_E_BUSY = -1001,        /* the other side is locked or overloaded */
    RK_E_TIMEOUT = -1002,     /* the budget ended and it is certain that nothing was changed */
    RK_E_CANCELED = -1003,    /* the cancel descriptor became readable; nothing was changed */
    RK_E_IO = -1004,          /* local input or output failed (disk, socket) */
    RK_E_NOMEM = -1005,       /* out of memory */
    RK_E_AGAIN = -1006,       /* not yet: the thing asked for is expected to appear soon */
    /* class OBSERVE: it may or may not have been done */
    RK_E_UNKNOWN = -1100,     /* a request was sent and no answer was seen */
    /* class CONFIG */
    RK_E_CONFIG = -1200,      /* an option is missing or wrong */
    RK_E_AUTH = -1201,        /* refused: certificate, password, permission */
    RK_E_REJECTED = -1202,    /* the other side understood and refused */
    RK_E_UNSUPPORTED = -1203, /* this device, KME or kernel cannot do it */
    RK_E_NOENT = -1204,       /* a named thing (interface, file, link) is not there */
    RK_E_UNSAFE = -1205,      /* a file's mode, owner or content is not safe to use */
    RK_E_CONFLICT = -1206,    /* the place is taken by a key or a lock that is not ours */
    /* class SUPPLY */
    RK_E_EMPTY = -1300,       /* the source has no key left */
    RK_E_KEY_GONE = -1301,    /* no such key ID at the source (consumed, expired, never there) */
    RK_E_KEY_SIZE = -1302,    /* the key is shorter or longer than asked */
    /* class BUG */
    RK_E_PROTOCOL = -1400,    /* the other side sent what its protocol does not allow */
    RK_E_CONTRACT = -1401,    /* a plugin or the core broke the plugin contract */
    RK_E_NOKEY = -1402,       /* the key asked for is not installed */
    /* class FATAL */
    RK_E_FATAL = -1500        /* the process cannot go on */
};

#endif
