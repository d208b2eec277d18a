/* schema.c - the statements that these routers know, and what their values may be
 *
 * Made once from the text below, before threads start; then only read.  One blank a level; the first character is the
 * kind: '=' leaf, '!' flag, '@' leaf-list, '*' list (key is <name>), '+' list shown as one block, '~' list shown
 * without its name, '^' box that means something when empty, none: box.  Behind ':' (of a list: its key) is the type:
 * iLO..HI number, sLO..HI text of that length, w words, ckn, cak, secret, time.  "-evo": not on Junos Evolved, "-ex":
 * not on EX.  apply-macro is allowed everywhere.  src: Juniper's YANG of 24.4R1, where it was at hand
 */
#include "conf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char text[] =
    "=version:s1..64\n"
    "=apply-groups:s1..64\n"
    "system\n"
    " =host-name:s1..255\n"
    " =domain-name:s1..255\n"
    " =time-zone:s1..64\n"
    " root-authentication\n"
    "  =encrypted-password:s1..128\n"
    "  *ssh-rsa:s1..4096\n"
    "  *ssh-ecdsa:s1..4096\n"
    "  *ssh-ed25519:s1..4096\n"
    " login\n"
    "  =message:s1..2048\n"
    "  =announcement:s1..2048\n"
    "  *class:s1..64\n"
    "   =idle-timeout:i0..4294967295\n"
    "   @permissions:s1..64\n"
    "   =allow-commands:s1..4096\n"
    "   =deny-commands:s1..4096\n"
    "   =allow-configuration:s1..4096\n"
    "   =deny-configuration:s1..4096\n"
    "   @allow-commands-regexps:s1..1024\n"
    "   @deny-commands-regexps:s1..1024\n"
    "   @allow-configuration-regexps:s1..1024\n"
    "   @deny-configuration-regexps:s1..1024\n"
    "   !no-hidden-commands\n"
    "  *user:s1..64\n"
    "   =full-name:s1..128\n"
    "   =uid:i100..64000\n"
    "   =class:s1..64\n"
    "   authentication\n"
    "    =encrypted-password:s1..128\n"
    "    *ssh-rsa:s1..4096\n"
    "    *ssh-ecdsa:s1..4096\n"
    "    *ssh-ed25519:s1..4096\n"
    " services\n"
    "  ^ssh\n"
    "   =root-login:w allow|deny|deny-password|\n"
    "   @hostkey-algorithm-list:s1..32\n"
    "   =connection-limit:i1..250\n"
    "   =rate-limit:i1..250\n"
    "   =client-alive-interval:i0..65535\n"
    "   =client-alive-count-max:i0..255\n"
    "   =max-sessions-per-connection:i1..65535\n"
    "  netconf\n"
    "   ^ssh\n"
    "    =port:i1..65535\n"
    "    =connection-limit:i1..250\n"
    "    =rate-limit:i1..250\n"
    "    =client-alive-interval:i0..65535\n"
    "    =client-alive-count-max:i0..255\n"
    "   !rfc-compliant\n"
    "   !version-1.1\n"
    "   !yang-compliant\n"
    " ^commit\n"
    "  !synchronize\n"
    "  !fast-synchronize\n"
    "  !persist-groups-inheritance\n"
    " scripts\n"
    "  =language:w python|python3|\n"
    "  !synchronize\n"
    " =max-configurations-on-flash:i0..49\n"
    " =max-configuration-rollbacks:i0..49\n"
    " @name-server:s1..64\n"
    " ntp\n"
    "  =boot-server:s1..255\n"
    "  *server:s1..255\n"
    "   =key:i0..65534\n"
    "   !prefer\n"
    "  *source-address:s1..64\n"
    " syslog\n"
    "  *host:s1..255\n"
    "   =port:i1..65535\n"
    "   +contents:s1..32\n"
    "    !any\n    !info\n    !notice\n    !warning\n    !error\n    !critical\n    !emergency\n"
    "  *file:s1..255\n"
    "   ~contents:s1..32\n"
    "    !any\n    !info\n    !notice\n    !warning\n    !error\n    !critical\n    !emergency\n"
    " static-host-mapping\n"
    "  ~host:s1..255\n"
    "   @inet:s1..64\n"
    "   @inet6:s1..64\n"
    " configuration-database\n"
    "  ephemeral\n"
    "   *instance:s1..64\n"
    "chassis\n"
    " redundancy\n"
    "  ^graceful-switchover\n"
    " aggregated-devices\n"
    "  ethernet\n"
    "   =device-count:i1..1024\n"
    "security\n"
    " authentication-key-chains\n"
    "  *key-chain:s1..128\n"
    "   =description:s1..80\n"
    "   =tolerance:i0..4294967295\n"
    "   *key:i0..63\n"
    "    =secret:secret\n"
    "    =key-name:ckn\n"
    "    =start-time:time\n"
    "    =algorithm:w md5|hmac-sha-1|ao|\n"
    "    =options:w basic|isis-enhanced|\n"
    " macsec\n"
    "  *connectivity-association:s1..32\n"
    "   =cipher-suite:w gcm-aes-128|gcm-aes-256|gcm-aes-xpn-128|gcm-aes-xpn-256| -ex\n"
    "   =security-mode:w dynamic|static-sak|static-cak|\n"
    "   mka\n"
    "    =transmit-interval:i2000..10000\n"
    "    =sak-rekey-interval:i60..86400\n"
    "    !bounded-delay\n"
    "    !suspend-on-request -evo\n"
    "    =suspend-for:i0..65535\n"
    "    =key-server-priority:i0..255\n"
    "    !should-secure\n"
    "    =eapol-address:s1..32\n"
    "    !disable-icv-indicator\n"
    "   ^replay-protect\n"
    "    =replay-window-size:i0..65535\n"
    "   !no-encryption\n"
    "   !disable-preceding-key\n"
    "   =offset:w 0|30|50|\n"
    "   !include-sci\n"
    "   pre-shared-key\n"
    "    =ckn:ckn\n"
    "    =cak:cak\n"
    "   fallback-key\n"
    "    =ckn:ckn\n"
    "    =cak:cak\n"
    "   =pre-shared-key-chain:s1..128\n"
    "   *exclude-protocol:w cdp|lldp|lacp|\n"
    "  +interfaces:s1..64\n"
    "   *unit:i0..16385\n"
    "    =connectivity-association:s1..32\n"
    "   =connectivity-association:s1..32\n"
    "   =pre-shared-key-chain:s1..128\n"
    "   ^replay-protect\n"
    "    =replay-window-size:i0..65535\n"
    "interfaces\n"
    " ~interface:s1..64\n"
    "  =description:s0..900\n"
    "  !disable\n"
    "  !vlan-tagging\n"
    "  !flexible-vlan-tagging\n"
    "  =encapsulation:s1..64\n"
    "  =mtu:i256..16000\n"
    "  =speed:s1..16\n"
    "  *unit:i0..1073741823\n"
    "   =description:s0..900\n"
    "   !disable\n"
    "   =vlan-id:i0..4094\n"
    "   family\n"
    "    ^inet\n"
    "     *address:s1..64\n"
    "    ^inet6\n"
    "     *address:s1..64\n"
    "    ^iso\n"
    "    ^mpls\n"
    "    ^ethernet-switching\n"
    "event-options\n"
    " *generate-event:s1..63\n"
    "  =time-interval:i60..2592000\n"
    "  =time-of-day:s1..32\n"
    "  !no-drift\n"
    " *policy:s1..63\n"
    "  @events:s1..64\n"
    "  then\n"
    "   *event-script:s1..255\n"
    "    =user-name:s1..64\n"
    "    *arguments:s1..254\n"
    "     =value:s0..1024\n"
    " event-script\n"
    "  *file:s1..255\n"
    "   =python-script-user:s1..64\n"
    "   checksum\n"
    "    =sha-256:s64..64\n"
    "snmp\n"
    " =location:s1..255\n"
    " =contact:s1..255\n"
    "routing-options\n"
    " =router-id:s1..64\n"
    " static\n"
    "  *route:s1..64\n"
    "   @next-hop:s1..64\n"
    "   !discard\n"
    "   !no-readvertise\n"
    "protocols\n"
    " ^lldp\n"
    "  !disable\n"
    "  =advertisement-interval:i5..32768\n"
    "  =transmit-delay:i1..8192\n"
    "  =hold-multiplier:i2..10\n"
    "  =ptopo-configuration-trap-interval:i0..3600\n"
    "  =lldp-configuration-notification-interval:i0..3600\n"
    "  =port-id-subtype:w interface-name|locally-assigned|\n"
    "  =port-description-type:w interface-alias|interface-description|\n"
    "  =management-address:s1..64\n"
    "  !neighbour-port-info-display\n"
    "  *interface:s1..64\n"
    "   !disable\n"
    "   ^enable\n";

#define LEVELS 12
static struct stmt root = {.name = "configuration"};
static struct stmt macro = {.name = "apply-macro", .kind = ST_LIST, .lo = 1, .hi = 255, .rank = 1000000};
static struct stmt macro_data = {.name = "data", .kind = ST_LIST, .flags = STMT_ELIDE | STMT_INLINE,
                                 .lo = 1, .hi = 255};
static struct stmt macro_value = {.name = "value", .kind = ST_LEAF, .lo = 1, .hi = 255};

static void
read_type(struct stmt *s, const char *t)
{
    char *end;

    s->hi = 255;
    if (*t == 'i' || (*t == 's' && isdigit((unsigned char)t[1]))) {
        s->type = *t == 'i' ? TY_INT : TY_TEXT;
        s->lo = strtoll(t + 1, &end, 10);
        s->hi = strtoll(end + 2, NULL, 10);
    } else if (*t == 'w') {
        s->type = TY_WORD;
        s->words = t + 2;
    } else {
        s->type = strncmp(t, "ckn", 3) == 0 ? TY_CKN : strncmp(t, "cak", 3) == 0 ? TY_CAK
                : strncmp(t, "time", 4) == 0 ? TY_TIME : TY_SECRET;
    }
}

static void
read_kind(struct stmt *s, char c)
{
    static const char kinds[] = "=!@*+~^";
    static const enum stmt_kind kind[] = {ST_LEAF, ST_FLAG, ST_LEAFLIST, ST_LIST, ST_LIST, ST_LIST, ST_BOX};
    const char *at = strchr(kinds, c);

    s->kind = at ? kind[at - kinds] : ST_BOX;
    s->flags = c == '+' ? STMT_GROUP : c == '~' ? STMT_ELIDE : c == '^' ? STMT_PRESENCE : 0;
}

/* One line of the text; *level is how deep it is. */
static struct stmt *
read_line(const char *line, size_t len, unsigned *level)
{
    struct stmt *s = calloc(1, sizeof *s);
    const char *end = line + len;
    size_t n;

    for (*level = 0; line < end && *line == ' '; line++)
        ++*level;
    if (!s)
        return NULL;
    read_kind(s, *line);
    line += !islower((unsigned char)*line);
    n = strcspn(line, ": \n");
    memcpy(s->name, line, n < sizeof s->name ? n : sizeof s->name - 1);
    if (line[n] == ':')
        read_type(s, line + n + 1);
    if (len > 5 && memcmp(end - 5, " -evo", 5) == 0)
        s->flags |= STMT_NO_EVO;
    if (len > 4 && memcmp(end - 4, " -ex", 4) == 0)
        s->flags |= STMT_NO_CIPHER;
    return s;
}

static void
append(struct stmt *of, struct stmt *s)
{
    struct stmt **at = &of->kids;

    for (; *at; at = &(*at)->next)
        s->rank = (*at)->rank + 1;
    *at = s;
}

bool
schema_start(void)
{
    struct stmt *open[LEVELS] = {&root};
    unsigned level;

    macro.kids = &macro_data;
    macro_data.kids = &macro_value;
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        struct stmt *s = read_line(line, strcspn(line, "\n"), &level);

        if (!s)
            return false;
        append(open[level], s);
        open[level + 1] = s;
    }
    return true;
}

static void
free_kids(struct stmt *s)
{
    while (s->kids) {
        struct stmt *kid = s->kids;

        s->kids = kid->next;
        free_kids(kid);
        free(kid);
    }
}

void
schema_stop(void)
{
    free_kids(&root);
}

const struct stmt *
schema_root(void)
{
    return &root;
}

const struct stmt *
schema_kid(const struct stmt *of, const char *name, const struct sim_personality *as)
{
    for (const struct stmt *s = of->kids; s; s = s->next)
        if (strcmp(s->name, name) == 0)
            return (s->flags & STMT_NO_EVO && as->evo) || (s->flags & STMT_NO_CIPHER && as->no_cipher) ? NULL : s;
    if ((of->kind == ST_BOX || of->kind == ST_LIST) && of != &macro && of != &macro_data &&
        strcmp(name, macro.name) == 0)
        return &macro;
    return NULL;
}

bool
schema_secret(const struct stmt *s)
{
    return s->type == TY_CAK || s->type == TY_SECRET;
}

static bool
is_word(const char *words, const char *value)
{
    size_t len = strlen(value);

    for (size_t n; (n = strcspn(words, "|\n")) > 0 && words[n] == '|'; words += n + 1)
        if (n == len && memcmp(words, value, n) == 0)
            return true;
    return false;
}

static bool
all_hex(const char *value)
{
    return value[strspn(value, "0123456789abcdefABCDEF")] == '\0';
}

static const char *
check_ckn(const struct stmt *s, const char *value, char *why)
{
    size_t len = strlen(value);

    if (len < 1 || len > 64)
        snprintf(why, SIM_WHY_MAX, "Length %zu is not within range (1..64)", len);
    else if (len % 2 || !all_hex(value))
        snprintf(why, SIM_WHY_MAX, "%s: '%s': Must be an even-length string up to 64 hexadecimal digits", s->name,
                 value);
    else
        return NULL;
    return why;
}

/* A key, clear or as $9$: the value itself is never put into a text. */
static const char *
check_key(const struct stmt *s, const char *value, char *why)
{
    char clear[160];
    size_t len, most = s->type == TY_CAK ? 64 : 126;
    bool hex;

    if (strncmp(value, "$8$", 3) == 0) {
        snprintf(why, SIM_WHY_MAX, "%s: cannot decrypt: master password is not set", s->name);
        return why;
    }
    if (!secret_open(value, clear, sizeof clear)) {
        snprintf(why, SIM_WHY_MAX, "%s: invalid encrypted value", s->name);
        return why;
    }
    len = strlen(clear);
    hex = all_hex(clear);
    explicit_bzero(clear, sizeof clear);
    if (len < 1 || len > most)
        snprintf(why, SIM_WHY_MAX, "Length %zu is not within range (1..%zu)", len, most);
    else if (s->type == TY_CAK && (!hex || len % 2))
        snprintf(why, SIM_WHY_MAX, "%s: key format must be an even-length string of hexadecimal digits", s->name);
    else
        return NULL;
    return why;
}

/* YYYY-MM-DD.HH:MM[:SS], with a zone behind a blank as it is printed */
static const char *
check_time(const char *value, char *why)
{
    int part[6] = {0, 1, 1, 0, 0, 0}, end = 0, zone_end = 0, zone;

    if (sscanf(value, "%4d-%2d-%2d.%2d:%2d%n:%2d%n", &part[0], &part[1], &part[2], &part[3], &part[4], &end, &part[5],
               &end) >= 5 && part[0] >= 1970 && part[0] < 2106 && part[1] >= 1 && part[1] <= 12 && part[2] >= 1 &&
        part[2] <= 31 && part[3] >= 0 && part[3] < 24 && part[4] >= 0 && part[4] < 60 && part[5] >= 0 && part[5] < 60 &&
        (!value[end] || (sscanf(value + end, " %5d%n", &zone, &zone_end) == 1 && !value[end + zone_end])))
        return NULL;
    snprintf(why, SIM_WHY_MAX, "invalid time: '%.40s': must be in YYYY-MM-DD.HH:MM[:SS] form", value);
    return why;
}

const char *
schema_check(const struct stmt *s, const char *value, char why[SIM_WHY_MAX])
{
    size_t len = strlen(value);
    char *end;
    long long n;

    switch (s->type) {
    case TY_INT:
        n = strtoll(value, &end, 10);
        if (len && len < 20 && !*end && value[0] != '+' && value[0] != ' ' && n >= s->lo && n <= s->hi)
            return NULL;
        snprintf(why, SIM_WHY_MAX, len && !*end ? "Value %.20s is not within range (%lld..%lld)"
                                                : "Invalid numeric value: '%.20s' (%lld..%lld)",
                 value, (long long)s->lo, (long long)s->hi);
        return why;
    case TY_WORD:
        return is_word(s->words, value) ? NULL : "syntax error";
    case TY_CKN:
        return check_ckn(s, value, why);
    case TY_CAK:
    case TY_SECRET:
        return check_key(s, value, why);
    case TY_TIME:
        return check_time(value, why);
    case TY_TEXT:
        break;
    }
    if ((int64_t)len >= s->lo && (int64_t)len <= s->hi)
        return NULL;
    snprintf(why, SIM_WHY_MAX, "Length %zu is not within range (%lld..%lld)", len, (long long)s->lo, (long long)s->hi);
    return why;
}
