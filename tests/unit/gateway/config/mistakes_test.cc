// Wrong manifests and the exact lines they give.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/gateway/config/support.h"

namespace postern::config {
namespace {

struct Mistake {
  std::string_view name;
  std::string_view text;      ///< behind kLeast, from line 6 on
  std::string_view expected;  ///< the lines without the file's name
};

void expect_lines(std::string_view manifest, std::string_view expected, std::string_view name) {
  SCOPED_TRACE(name);
  std::string lines;
  for (const Problem& problem : parse(std::string(manifest)).problems) {
    lines += problem.text().substr(std::string_view("/etc/postern/m.toml:").size()) + "\n";
  }
  EXPECT_EQ(lines, expected);
}

constexpr Mistake kUnknown[] = {
    {"a section nobody knows", "[nonsense]\nx = 1\n", "6: nonsense: unknown key\n"},
    {"a section with a slip", "[limit]\n", "6: limit: unknown key; did you mean \"limits\"?\n"},
    {"a plural", "[[accounts]]\n", "6: accounts: unknown key; did you mean \"account\"?\n"},
    {"a key with a slip", "[limits]\nrecipient_max = 5\n",
     "7: limits.recipient_max: unknown key; did you mean \"recipients_max\"?\n"},
    {"letters swapped", "[log]\nlevle = \"info\"\n", "7: log.levle: unknown key; did you mean \"level\"?\n"},
    {"a key of another section", "[smtp]\nmessage_octets_max = 5\n",
     "7: smtp.message_octets_max: unknown key; it belongs in [limits]\n"},
    {"a key of the top", "[store]\nhostname = \"mx.test.example\"\n",
     "7: store.hostname: unknown key; it belongs at the top, before the first section\n"},
    {"a key in a repeated section", "[[account]]\naddress = \"a@test.example\"\nquota = 5\n",
     "8: account[0].quota: unknown key\n"},
    {"nothing like it", "[log]\ncolour = true\n", "7: log.colour: unknown key\n"},
    {"an empty name", "[log]\n\"\" = 1\n", "7: log.\"\": unknown key\n"},
    {"a name with odd characters", "[log]\n\"a\\nb\" = 1\n", "7: log.\"a\\x0ab\": unknown key\n"},
    {"a section inside a repeated one", "[[account]]\naddress = \"a@test.example\"\n[account.more]\n",
     "8: account[0].more: unknown key\n"},
    {"a section inside a section", "[filter.alow]\n",
     "6: filter.alow: unknown key; did you mean \"allow\"?\n"},
    {"a key of relayed domains", "to = [\"10.0.0.5:25\"]\n",
     "6: domain[0].to: goes with deliver = \"relay\" only\n"},
    {"a key that merely starts like it", "tolerance = 1\n", "6: domain[0].tolerance: unknown key\n"},
};

constexpr Mistake kTypes[] = {
    {"a string for an integer", "[limits]\nrecipients_max = \"100\"\n",
     "7: limits.recipients_max: expected an integer from 1 to 100000, found the string \"100\"\n"},
    {"a size with a unit", "[limits]\nmessage_octets_max = \"25MiB\"\n",
     "7: limits.message_octets_max: expected an integer from 1024 to 1125899906842624, found the string "
     "\"25MiB\"\n"},
    {"a number for an integer", "[limits]\nerrors_max = 1.5\n",
     "7: limits.errors_max: expected an integer from 1 to 1000000, found the number 1.5\n"},
    {"true for an integer", "[limits]\nerrors_max = true\n",
     "7: limits.errors_max: expected an integer from 1 to 1000000, found true\n"},
    {"an integer for true", "[tls]\nenabled = 1\n",
     "7: tls.enabled: expected true or false, found the integer 1\n"},
    {"a string for true", "[tls]\nenabled = \"yes\"\n",
     "7: tls.enabled: expected true or false, found the string \"yes\"\n"},
    {"a string for a score", "[filter]\ntag_score = \"5\"\n",
     "7: filter.tag_score: expected a number from -1000 to 1000, found the string \"5\"\n"},
    {"an integer for a path", "[store]\npath = 5\n", "7: store.path: expected a path, found the integer 5\n"},
    {"an array for a string", "[metrics]\nlisten = [\"127.0.0.1:1\"]\n",
     "7: metrics.listen: expected IP:PORT or [IP6]:PORT, found an array\n"},
    {"a string for a list of networks", "[limits]\nunlimited_from = \"10.0.0.0/8\"\n",
     "7: limits.unlimited_from: expected a list of networks, found the string \"10.0.0.0/8\"\n"},
    {"an integer in a list of networks", "[limits]\nunlimited_from = [\"10.0.0.0/8\",\n 5]\n",
     "8: limits.unlimited_from: expected a network, found the integer 5\n"},
    {"a string for a list of addresses",
     "[[account]]\naddress = \"a@test.example\"\naliases = \"b@test.example\"\n",
     "8: account[0].aliases: expected a list of mail addresses, found the string \"b@test.example\"\n"},
    {"a table in a list of senders", "[filter.allow]\nsenders = [{}]\n",
     "7: filter.allow.senders: expected a string, found a table\n"},
    {"a date", "[log]\nlevel = 2026-01-01\n",
     "7: log.level: expected \"debug\", \"info\", \"warning\" or \"error\", found a date\n"},
    {"a time", "[log]\nlevel = 12:00:00\n",
     "7: log.level: expected \"debug\", \"info\", \"warning\" or \"error\", found a time\n"},
    {"a date and time", "[log]\nlevel = 2026-01-01T12:00:00Z\n",
     "7: log.level: expected \"debug\", \"info\", \"warning\" or \"error\", found a date and time\n"},
    {"a table for a string", "[log.level]\n",
     "6: log.level: expected \"debug\", \"info\", \"warning\" or \"error\", found a table\n"},
    {"a section written twice over", "[[limits]]\n",
     "6: limits: expected a table, written [limits] and only once, found an array of tables\n"},
    {"a repeated section written once", "[account]\naddress = \"a@test.example\"\n",
     "6: account: expected tables, written [[account]], found a table\n"},
    {"integers for tables", "[filter]\nallow = 5\n",
     "7: filter.allow: expected a table, written [filter.allow] and only once, found the integer 5\n"},
    {"an array of answers",
     "[[blocklist]]\nzone = \"bl.test.example\"\nkind = \"ip\"\nanswers = [\"127.0.0.2\"]\n",
     "9: blocklist[0].answers: expected a table of addresses and names, found an array\n"},
    {"an answer without a name",
     "[[blocklist]]\nzone = \"bl.test.example\"\nkind = \"ip\"\nanswers = { \"127.0.0.2\" = 4 }\n",
     "9: blocklist[0].answers: \"127.0.0.2\": expected a string, found the integer 4\n"},
    {"points that are no number", "[filter.rules]\nscores = { A = true, B = \"high\", C = 1001 }\n",
     "7: filter.rules.scores: \"A\": expected a string, found true\n"
     "7: filter.rules.scores: \"high\" is not a number from -1000 to 1000\n"
     "7: filter.rules.scores: \"1001\" is not a number from -1000 to 1000\n"},
    {"no name of a rule", "[filter.rules]\ndisabled = [\"a-b\"]\n",
     "7: filter.rules.disabled: \"a-b\" is not the name of a rule\n"},
    {"a name of nobody", "[filter.rules]\nprotected_names = { Bank = \"not a domain\" }\n",
     "7: filter.rules.protected_names: \"not a domain\" is not a domain name\n"},
};

constexpr Mistake kValues[] = {
    {"zero", "[limits]\nrecipients_max = 0\n", "7: limits.recipients_max: 0 is out of range: 1 to 100000\n"},
    {"negative", "[limits]\ndrain_s = -1\n", "7: limits.drain_s: -1 is out of range: 0 to 3600\n"},
    {"one too many", "[limits]\ndrain_s = 3601\n", "7: limits.drain_s: 3601 is out of range: 0 to 3600\n"},
    {"more than 32 bits", "[limits]\ncommands_max = 4294967296\n",
     "7: limits.commands_max: 4294967296 is out of range: 10 to 4294967295\n"},
    {"a short command line", "[limits]\ncommand_octets_max = 511\n",
     "7: limits.command_octets_max: 511 is out of range: 512 to 1048576\n"},
    {"a score out of range", "[filter]\nblock_score = 1000.5\n",
     "7: filter.block_score: 1000.5 is out of range: -1000 to 1000\n"},
    {"an infinite score", "[filter]\nreject_score = inf\n",
     "7: filter.reject_score: inf is out of range: -1000 to 1000\n"},
    {"no number", "[filter]\ntag_score = nan\n", "7: filter.tag_score: nan is out of range: -1000 to 1000\n"},
    {"not a choice", "[smtp]\nbare_line_endings = \"keep\"\n",
     "7: smtp.bare_line_endings: expected \"reject\" or \"normalize\", found the string \"keep\"\n"},
    {"a choice in capitals", "[log]\nlevel = \"INFO\"\n",
     "7: log.level: expected \"debug\", \"info\", \"warning\" or \"error\", found the string \"INFO\"\n"},
    {"an empty choice", "[smtp]\nearly_talker = \"\"\n",
     "7: smtp.early_talker: expected \"note\" or \"reject\", found the string \"\"\n"},
    {"DNSSEC by another name", "[dns]\ndnssec = \"yes\"\n",
     "7: dns.dnssec: expected \"validate\", \"trust\" or \"off\", found the string \"yes\"\n"},
    {"a network with a long prefix", "[limits]\nunlimited_from = [\"10.0.0.0/33\"]\n",
     "7: limits.unlimited_from: \"10.0.0.0/33\" is not a network, such as 192.0.2.0/24 or 2001:db8::/32\n"},
    {"a network by name", "[smtp]\ngreeting_delay_exempt = [\"localhost\"]\n",
     "7: smtp.greeting_delay_exempt: \"localhost\" is not a network, such as 192.0.2.0/24 or "
     "2001:db8::/32\n"},
    {"two wrong networks on two lines",
     "[filter.block]\nclients = [\n \"a\",\n \"10.0.0.0/8\",\n \"b\",\n]\n",
     "8: filter.block.clients: \"a\" is not a network, such as 192.0.2.0/24 or 2001:db8::/32\n"
     "10: filter.block.clients: \"b\" is not a network, such as 192.0.2.0/24 or 2001:db8::/32\n"},
    {"an empty path", "[store]\npath = \"\"\n", "7: store.path: the path is empty\n"},
    {"a path with NUL", "[store]\npath = \"a\\u0000b\"\n",
     "7: store.path: \"a\\x00b\" is not a path: it holds a NUL\n"},
    {"an empty socket", "[control]\nsocket = \"\"\n", "7: control.socket: a socket needs a path\n"},
    {"a metrics address without port", "[metrics]\nlisten = \"127.0.0.1\"\n",
     "7: metrics.listen: \"127.0.0.1\" is not IP:PORT or [IP6]:PORT; the port is missing\n"},
    {"metrics by name", "[metrics]\nlisten = \"localhost:9125\"\n",
     "7: metrics.listen: \"localhost:9125\" is not IP:PORT or [IP6]:PORT\n"},
    {"metrics on a Unix socket", "[metrics]\nlisten = \"unix:/run/m\"\n",
     "7: metrics.listen: \"unix:/run/m\" is not IP:PORT or [IP6]:PORT\n"},
    {"a resolver on port 0", "[dns]\nresolvers = [\"127.0.0.1:0\"]\n",
     "7: dns.resolvers: \"127.0.0.1:0\" is not IP:PORT or [IP6]:PORT; the port is 0\n"},
    {"a resolver without port", "[dns]\nresolvers = [\"::1\"]\n",
     "7: dns.resolvers: \"::1\" is not IP:PORT or [IP6]:PORT\n"},
    {"an override of nobody", "[[filter.authentication.override]]\ndisposition = \"ignore\"\n",
     "6: filter.authentication.override[0].domain: is missing\n7: "
     "filter.authentication.override[0].disposition: "
     "expected \"accept\", \"none\", \"quarantine\" or \"reject\", found the string \"ignore\"\n"},
    {"a forwarder from nowhere",
     "[[filter.authentication.forwarder]]\nauthserv_id = \"mx.forwarder.example\"\n",
     "6: filter.authentication.forwarder[0].networks: is missing\n"},
    {"a blocklist without anything", "[[blocklist]]\n",
     "6: blocklist[0].zone: is missing\n6: blocklist[0].kind: is missing\n"},
    {"a blocklist of no kind", "[[blocklist]]\nzone = \"bl.test.example\"\nkind = \"mail\"\n",
     "8: blocklist[0].kind: expected \"ip\", \"domain\", \"url\" or \"hash\", found the string \"mail\"\n"},
    {"an odd zone", "[[blocklist]]\nzone = \"bl..example\"\nkind = \"ip\"\n",
     "7: blocklist[0].zone: \"bl..example\" is not a domain name\n"},
    {"an answer that is no address",
     "[[blocklist]]\nzone = \"bl.test.example\"\nkind = \"ip\"\nanswers = { yes = \"listed\" }\n",
     "9: blocklist[0].answers: \"yes\" is not an IPv4 address, as blocklists answer (RFC 5782 §2.1); an "
     "octet may be *\n"},
    {"what to do with the incomplete", "[filter.incomplete]\nspf = \"refuse\"\n",
     "7: filter.incomplete.spf: expected \"ignore\", \"tag\" or \"defer\", found the string \"refuse\"\n"},
    {"what to do when SPF fails", "[filter.authentication]\nspf_fail = \"reject\"\n",
     "7: filter.authentication.spf_fail: expected \"score\" or \"refuse\", found the string \"reject\"\n"},
    {"a file without a name", "[filter.block]\nclient_files = [\"\"]\n",
     "7: filter.block.client_files: the path is empty\n"},
    {"a star that is no octet",
     "[[blocklist]]\nzone = \"bl.test.example\"\nkind = \"ip\"\nanswers = { \"127.0.*.2*\" = \"listed\" }\n",
     "9: blocklist[0].answers: \"127.0.*.2*\" is not an IPv4 address, as blocklists answer (RFC 5782 §2.1); "
     "an octet may be *\n"},
    {"greylisting without a delay", "[filter.greylist]\ndelay_s = 0\n",
     "7: filter.greylist.delay_s: 0 is out of range: 1 to 86400\n"},
    {"a sender that is none", "[filter.allow]\nsenders = [\"partner.example\"]\n",
     "7: filter.allow.senders: \"partner.example\" is not an address, @domain, @.domain or <>\n"},
    {"an empty domain of senders", "[filter.allow]\nsenders = [\"@\", \"@.\"]\n",
     "7: filter.allow.senders: \"@\" is not @domain or @.domain\n7: filter.allow.senders: \"@.\" is not "
     "@domain or @.domain\n"},
    {"nobody as recipient", "[filter.block]\nrecipients = [\"<>\"]\n",
     "7: filter.block.recipients: \"<>\" is not an address, @domain or @.domain\n"},
    {"a long value is cut",
     "[log]\nlevel = "
     "\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhhiiiiiiiiii\"\n",
     "7: log.level: expected \"debug\", \"info\", \"warning\" or \"error\", found the string "
     "\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhh…\"\n"},
};

constexpr Mistake kTogether[] = {
    {"a greylist that nobody can pass", "[filter.greylist]\ndelay_s = 600\nwindow_s = 600\n",
     "8: filter.greylist.window_s: must be more than delay_s: nobody could come again in time\n"},
    {"a certificate without key", "[tls]\ncertificate = \"a.pem\"\n",
     "7: tls.certificate: needs key, which is not set\n"},
    {"a key without certificate", "[tls]\nkey = \"a.key\"\n",
     "7: tls.key: needs certificate, which is not set\n"},
    {"a further certificate without key",
     "[tls]\ncertificate = \"a\"\nkey = \"b\"\n[[tls.certificates]]\ncertificate = \"c\"\n",
     "9: tls.certificates[0].key: is missing\n"},
    {"further certificates without the first", "[[tls.certificates]]\ncertificate = \"c\"\nkey = \"d\"\n",
     "6: tls.certificates: adds to certificate and key of [tls], which are not set\n"},
    {"TLS required but off", "[tls]\nenabled = false\nrequired = true\n",
     "8: tls.required: needs enabled = true\n"},
    {"implicit TLS but off",
     "[[listener]]\naddress = \"[::1]:465\"\nimplicit_tls = true\n[tls]\nenabled = false\n",
     "8: listener[1].implicit_tls: needs TLS, which [tls] enabled = false turns off\n"},
    {"profile: scores out of order",
     "[[filter.profile]]\nname = \"p\"\nrecipients = [\"@a.example\"]\ntag_score = 11\n",
     "9: filter.profile[0].tag_score: tag_score (11) is above quarantine_score (10)\n"},
    {"profile: a recipient twice",
     "[[filter.profile]]\nname = \"p\"\nrecipients = [\"@a.example\"]\n[[filter.profile]]\nname = "
     "\"q\"\nrecipients = "
     "[\"@A.example\"]\n",
     "11: filter.profile[1].recipients: \"@a.example\" is in profile \"p\" already\n"},
    {"profile: of nobody", "[[filter.profile]]\nname = \"p\"\n",
     "6: filter.profile[0].recipients: is missing\n"},
    {"subject tag", "[filter]\nsubject_tag = \"a\\r\\nb\"\n",
     "7: filter.subject_tag: expected at most 64 printable ASCII characters\n"},
    {"discard below tag", "[filter]\ndiscard_score = 4\n",
     "7: filter.discard_score: discard_score (4) is below tag_score (5)\n"},
    {"tag above quarantine", "[filter]\ntag_score = 10.5\n",
     "7: filter.tag_score: tag_score (10.5) is above quarantine_score (10)\n"},
    {"quarantine below tag", "[filter]\nquarantine_score = 4\n",
     "7: filter.quarantine_score: tag_score (5) is above quarantine_score (4)\n"},
    {"reject below quarantine", "[filter]\nreject_score = 9.5\n",
     "7: filter.reject_score: quarantine_score (10) is above reject_score (9.5)\n"},
    {"all scores upside down", "[filter]\ntag_score = 3\nquarantine_score = 2\nreject_score = 1\n",
     "7: filter.tag_score: tag_score (3) is above quarantine_score (2)\n"
     "8: filter.quarantine_score: quarantine_score (2) is above reject_score (1)\n"},
    {"bodies smaller than a message", "[limits]\nbody_memory_octets_max = 1048576\n",
     "7: limits.body_memory_octets_max: body_memory_octets_max (1048576) is less than message_octets_max "
     "(26214400): no "
     "such message could be taken\n"},
    {"a message larger than all bodies", "[limits]\nmessage_octets_max = 2147483648\n",
     "7: limits.message_octets_max: body_memory_octets_max (1073741824) is less than message_octets_max "
     "(2147483648): no "
     "such message could be taken\n"},
};

constexpr Mistake kListeners[] = {
    {"no address", "[[listener]]\nservice = \"mx\"\n", "6: listener[1].address: is missing\n"},
    {"no port", "[[listener]]\naddress = \"127.0.0.1\"\n",
     "7: listener[1].address: \"127.0.0.1\" is not IP:PORT, [IP6]:PORT or unix:PATH; the port is missing\n"},
    {"an empty port", "[[listener]]\naddress = \"127.0.0.1:\"\n",
     "7: listener[1].address: \"127.0.0.1:\" is not IP:PORT, [IP6]:PORT or unix:PATH\n"},
    {"a port too large", "[[listener]]\naddress = \"127.0.0.1:65536\"\n",
     "7: listener[1].address: \"127.0.0.1:65536\" is not IP:PORT, [IP6]:PORT or unix:PATH\n"},
    {"a port with zeros in front", "[[listener]]\naddress = \"127.0.0.1:025\"\n",
     "7: listener[1].address: \"127.0.0.1:025\" is not IP:PORT, [IP6]:PORT or unix:PATH\n"},
    {"a port with a sign", "[[listener]]\naddress = \"127.0.0.1:+25\"\n",
     "7: listener[1].address: \"127.0.0.1:+25\" is not IP:PORT, [IP6]:PORT or unix:PATH\n"},
    {"a port by name", "[[listener]]\naddress = \"127.0.0.1:smtp\"\n",
     "7: listener[1].address: \"127.0.0.1:smtp\" is not IP:PORT, [IP6]:PORT or unix:PATH\n"},
    {"a port alone", "[[listener]]\naddress = \":25\"\n",
     "7: listener[1].address: \":25\" is not IP:PORT, [IP6]:PORT or unix:PATH\n"},
    {"a star", "[[listener]]\naddress = \"*:25\"\n",
     "7: listener[1].address: \"*:25\" is not IP:PORT, [IP6]:PORT or unix:PATH\n"},
    {"IPv6 without brackets", "[[listener]]\naddress = \"::1:25\"\n",
     "7: listener[1].address: \"::1:25\" is not IP:PORT, [IP6]:PORT or unix:PATH; an IPv6 address stands in "
     "brackets\n"},
    {"IPv4 in brackets", "[[listener]]\naddress = \"[127.0.0.1]:25\"\n",
     "7: listener[1].address: \"[127.0.0.1]:25\" is not IP:PORT, [IP6]:PORT or unix:PATH\n"},
    {"a half bracket", "[[listener]]\naddress = \"[::1:25\"\n",
     "7: listener[1].address: \"[::1:25\" is not IP:PORT, [IP6]:PORT or unix:PATH\n"},
    {"an empty Unix path", "[[listener]]\naddress = \"unix:\"\n",
     "7: listener[1].address: a socket needs a path\n"},
    {"twice the same", "[[listener]]\naddress = \"127.0.0.1:2525\"\n",
     "7: listener[1].address: \"127.0.0.1:2525\" is listener[0].address already, line 3\n"},
    {"twice the same in two spellings",
     "[[listener]]\naddress = \"[::1]:25\"\n[[listener]]\naddress = \"[0:0:0::1]:25\"\n",
     "9: listener[2].address: \"[::1]:25\" is listener[1].address already, line 7\n"},
    {"metrics on a listener", "[metrics]\nlisten = \"127.0.0.1:2525\"\n",
     "7: metrics.listen: \"127.0.0.1:2525\" is listener[0].address already, line 3\n"},
    {"a listener on the control socket",
     "[control]\nsocket = \"x.sock\"\n[[listener]]\naddress = \"unix:x.sock\"\n",
     "9: listener[1].address: \"unix:/etc/postern/x.sock\" is control.socket already, line 7\n"},
    {"no such service", "[[listener]]\naddress = \"127.0.0.1:110\"\nservice = \"pop3\"\n",
     "8: listener[1].service: expected \"mx\", \"submission\", \"submissions\" or \"lmtp\", found the string "
     "\"pop3\"\n"},
    {"submission", "[[listener]]\naddress = \"127.0.0.1:587\"\nservice = \"submission\"\n",
     "8: listener[1].service: needs [submission] credentials, which is not set\n"},
    {"submissions", "[[listener]]\naddress = \"127.0.0.1:465\"\nservice = \"submissions\"\n",
     "8: listener[1].service: needs [submission] credentials, which is not set\n"},
    {"a wrong network of proxies",
     "[[listener]]\naddress = \"127.0.0.1:26\"\nproxy_protocol_from = [\"lb\"]\n",
     "8: listener[1].proxy_protocol_from: \"lb\" is not a network, such as 192.0.2.0/24 or 2001:db8::/32\n"},
};

template <std::size_t N>
void run(const Mistake (&mistakes)[N]) {
  for (const Mistake& mistake : mistakes) {
    expect_lines(std::string(kLeast) + std::string(mistake.text), mistake.expected, mistake.name);
  }
}

TEST(ConfigMistakes, UnknownKeys) {
  run(kUnknown);
}
TEST(ConfigMistakes, WrongTypes) {
  run(kTypes);
}
TEST(ConfigMistakes, WrongValues) {
  run(kValues);
}
TEST(ConfigMistakes, WrongTogether) {
  run(kTogether);
}
TEST(ConfigMistakes, Listeners) {
  run(kListeners);
}

constexpr Mistake kWhole[] = {
    {"nothing at all", "",
     "1: hostname: is missing\n1: listener: there is no [[listener]]: nobody could connect\n"},
    {"an empty name at the top",
     "\"\" = { hostname = \"mx\" }\nhostname = \"mx\"\nlistener = [{ address = \"127.0.0.1:25\" }]\n",
     "1: \"\": unknown key\n"},
    {"no listener", "hostname = \"mx.test.example\"\n",
     "1: listener: there is no [[listener]]: nobody could connect\n"},
    {"an empty list of listeners", "hostname = \"mx.test.example\"\nlistener = []\n",
     "1: listener: there is no [[listener]]: nobody could connect\n"},
    {"a list of something else",
     "hostname = \"mx.test.example\"\nlistener = [\n 5,\n { address = \"127.0.0.1:25\" }]\n",
     "3: listener[0]: expected a table, written [[listener]], found the integer 5\n"},
    {"no host name", "[[listener]]\naddress = \"127.0.0.1:25\"\n", "1: hostname: is missing\n"},
    {"an empty host name", "hostname = \"\"\n[[listener]]\naddress = \"127.0.0.1:25\"\n",
     "1: hostname: \"\" is not a domain name or an address literal\n"},
    {"a host name with a space", "hostname = \"mx test\"\n[[listener]]\naddress = \"127.0.0.1:25\"\n",
     "1: hostname: \"mx test\" is not a domain name or an address literal\n"},
    {"an address for a host name",
     "hostname = \"a@test.example\"\n[[listener]]\naddress = \"127.0.0.1:25\"\n",
     "1: hostname: \"a@test.example\" is not a domain name or an address literal\n"},
    {"a host name in U-labels", "hostname = \"bücher.example\"\n[[listener]]\naddress = \"127.0.0.1:25\"\n",
     "1: hostname: \"bücher.example\" is not a domain name or an address literal\n"},
    {"an unknown key at the top",
     "hostnam = \"mx\"\nhostname = \"mx\"\n[[listener]]\naddress = \"127.0.0.1:25\"\n",
     "1: hostnam: unknown key; did you mean \"hostname\"?\n"},
    {"not UTF-8", "hostname = \"mx\"\n# caf\xE9\n", "2: not valid UTF-8\n"},
    {"an overlong character", "#\n#\n#\xC0\xAF\n", "3: not valid UTF-8\n"},
};

TEST(ConfigMistakes, WholeManifests) {
  for (const Mistake& mistake : kWhole) expect_lines(mistake.text, mistake.expected, mistake.name);
}

TEST(ConfigMistakes, ManyMistakesAreAsManyLines) {
  expect_lines(
      "hostname = \"not a name\"\n"
      "coers = 2\n"
      "workers = 0\n"
      "[[listener]]\n"
      "address = \"0.0.0.0\"\n"
      "[[listener]]\n"
      "address = \"0.0.0.0:587\"\n"
      "service = \"submission\"\n"
      "[limits]\n"
      "recipients_max = \"many\"\n"
      "unlimited_from = [\n"
      "  \"10.0.0.0/8\",\n"
      "  \"10.0.0.0/40\",\n"
      "]\n"
      "[tls]\n"
      "certificate = \"cert.pem\"\n"
      "[[domain]]\n"
      "name = \"test.example\"\n"
      "deliver = \"relay\"\n"
      "[[account]]\n"
      "address = \"someone@other.example\"\n"
      "[filter]\n"
      "reject_score = 1\n",
      "1: hostname: \"not a name\" is not a domain name or an address literal\n"
      "2: coers: unknown key; did you mean \"cores\"?\n"
      "3: workers: 0 is out of range: 1 to 256\n"
      "5: listener[0].address: \"0.0.0.0\" is not IP:PORT, [IP6]:PORT or unix:PATH; the port is missing\n"
      "8: listener[1].service: needs [submission] credentials, which is not set\n"
      "10: limits.recipients_max: expected an integer from 1 to 100000, found the string \"many\"\n"
      "13: limits.unlimited_from: \"10.0.0.0/40\" is not a network, such as 192.0.2.0/24 or 2001:db8::/32\n"
      "16: tls.certificate: needs key, which is not set\n"
      "19: domain[0].deliver: \"relay\" needs `to`, the hosts that the mail is for\n"
      "21: account[0].address: \"someone@other.example\" is not in a [[domain]] of this manifest\n"
      "23: filter.reject_score: quarantine_score (10) is above reject_score (1)\n",
      "eleven of them");
}

struct SyntaxCase {
  std::string_view name, text;
  unsigned line;
};

TEST(ConfigMistakes, WhatIsNotTomlIsOneLineWithItsPlace) {
  const std::string deep = "a = 1\n" + [] {
    std::string dots = "b";
    for (int i = 0; i < 100'000; ++i) dots += ".b";
    return dots;
  }() + " = 1\n";
  const std::string nested = "a = " + std::string(100'000, '[');
  const SyntaxCase cases[] = {
      {"no value", "a = 1\nb =\n", 2},
      {"an open string", "a = \"x\n", 1},
      {"a key twice", "a = 1\na = 2\n", 2},
      {"a table twice", "[log]\n[store]\n[log]\n", 3},
      {"an open table name", "\n[log\n", 2},
      {"no equals sign", "hostname\n", 1},
      {"a number too large", "workers = 9223372036854775808\n", 1},
      {"a control character", "a = \"\x01\"\n", 1},
      {"far too many dots", deep, 2},
      {"far too many brackets", nested, 1},
  };
  for (const SyntaxCase& c : cases) {
    SCOPED_TRACE(c.name);
    const Loaded loaded = parse(std::string(c.text));
    ASSERT_EQ(loaded.problems.size(), 1U);
    EXPECT_EQ(loaded.problems[0].line, c.line);
    EXPECT_LT(loaded.problems[0].text().size(), 300U);
    EXPECT_EQ(loaded.problems[0].text().find('\n'), std::string::npos);
  }
}

TEST(ConfigMistakes, ASocketPathHasALimit) {
  const std::string base = "[control]\nsocket = \"/";
  EXPECT_EQ(texts(parse(std::string(kLeast) + base + std::string(106, 'x') + "\"\n").problems), "");
  const auto problems = parse(std::string(kLeast) + base + std::string(107, 'x') + "\"\n").problems;
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_THAT(problems[0].text(),
              testing::HasSubstr("is too long for a Unix socket: 108 octets, at most 107"));
}

TEST(ConfigMistakes, ProblemsWithoutALineNameTheFileAlone) {
  EXPECT_EQ((Problem{.file = "f", .what = "w"}.text()), "f: w");
  EXPECT_EQ((Problem{.file = "f", .line = 3, .what = "w"}.text()), "f:3: w");
  EXPECT_EQ((Problem{.file = "f", .line = 3, .key = "k", .what = "w\x1b[1m\n"}.text()), "f:3: k: w?[1m?");
}

TEST(ConfigWarnings, SayWhatIsSetInVain) {
  const Loaded loaded = parse(std::string(kLeast) +
                              "recipients = \"any\"\n"
                              "[dns]\n"
                              "resolvers = [\"127.0.0.1:53\"]\n"
                              "dnssec = \"trust\"\n"
                              "budget_ms = 1000\n"
                              "[[blocklist]]\n"
                              "zone = \"bl.test.example\"\n"
                              "kind = \"url\"\n"
                              "[smtp]\n"
                              "early_talker = \"reject\"\n");
  EXPECT_EQ(texts(loaded.problems), "");
  EXPECT_EQ(
      texts(loaded.warnings),
      "/etc/postern/m.toml:9: dns.dnssec: \"trust\" is treated as \"off\": this version does not take a "
      "resolver's word\n"
      "/etc/postern/m.toml:10: dns.budget_ms: is less than timeout_ms: no answer is waited for as long as "
      "that\n"
      "/etc/postern/m.toml:13: blocklist[0].kind: \"url\": the list is not consulted in this version\n"
      "/etc/postern/m.toml:15: smtp.early_talker: hardly finds anyone while greeting_delay_ms is 0\n");
}

}  // namespace
}  // namespace postern::config
