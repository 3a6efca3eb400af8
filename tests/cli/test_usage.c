/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What `sluice` says of its usage, and of usage that is wrong: the daemon is not asked. */
#include "row.h"

#define HELP(promise, wanted, ...)                                                                 \
	{                                                                                          \
		.name = promise, .arguments = { __VA_ARGS__ }, .out = wanted, .err = ""            \
	}
#define GROUP(promise, wanted, other, ...)                                                         \
	{                                                                                          \
		.name = promise, .arguments = { __VA_ARGS__ }, .out = wanted, .err = "",           \
		.excluded = other                                                                  \
	}
#define WRONG(promise, wanted, ...)                                                                \
	{                                                                                          \
		.name = promise, .arguments = { __VA_ARGS__ }, .status = 2, .out = "",             \
		.err = wanted                                                                      \
	}

static const struct row rows[] = {
	/* help */
	HELP("--help lists the commands", "key revoke", "--help"),
	HELP("-h is --help", "key revoke", "-h"),
	HELP("help is --help", "key revoke", "help"),
	HELP("help of a command is that command's", "Example:\n  sluice key ls", "help", "key",
	     "ls"),
	GROUP("key --help lists that group's commands", "key revoke", "gate ls", "key", "--help"),
	GROUP("--help key does, too", "key revoke", "gate ls", "--help", "key"),
	GROUP("help key does, too", "key revoke", "gate ls", "help", "key"),
	GROUP("gate --help lists that group's commands", "gate rm", "key ls", "gate", "--help"),
	GROUP("shed --help lists that group's commands", "shed add", "  status ", "shed", "--help"),
	HELP("status --help has an example", "Example:", "status", "--help"),
	HELP("key create --help has an example", "Example:\n  sluice key create --account", "key",
	     "create", "--help"),
	HELP("key ls --help has an example", "Example:\n  sluice key ls", "key", "ls", "--help"),
	HELP("key show --help has an example", "Example:\n  sluice key show", "key", "show",
	     "--help"),
	HELP("key edit --help has an example", "Example:\n  sluice key edit", "key", "edit",
	     "--help"),
	HELP("key revoke --help has an example", "Example:\n  sluice key revoke", "key", "revoke",
	     "--help"),
	HELP("gate ls --help has an example", "Example:\n  sluice gate ls", "gate", "ls", "--help"),
	HELP("gate rm --help has an example", "Example:\n  sluice gate rm 3000", "gate", "rm",
	     "--help"),
	HELP("shed ls --help has an example", "Example:\n  sluice shed ls", "shed", "ls", "--help"),
	HELP("shed add --help has an example", "Example:\n  sluice shed add 203.0.113.7", "shed",
	     "add", "--help"),
	HELP("shed rm --help has an example", "Example:\n  sluice shed rm 203.0.113.7", "shed",
	     "rm", "--help"),
	HELP("reload --help has an example", "Example:\n  sluice reload", "reload", "--help"),
	HELP("--version names the version", "sluice 0.", "--version"),

	/* wrong usage */
	WRONG("an unknown command is wrong usage", "The commands are: status, key create", "keys"),
	WRONG("key alone is wrong usage, which says what may follow",
	      "sluice: key needs one of: create, ls, show, edit, revoke.\n", "key"),
	WRONG("key with options alone is wrong usage",
	      "sluice: key needs one of: create, ls, show, edit, revoke.\n", "key", "--json"),
	WRONG("an unknown verb is wrong usage, which says what there is",
	      "There is no command \"key remove\". key needs one of: create, ls,", "key", "remove",
	      "x"),
	WRONG("an unknown option is wrong usage", "no option \"--color\"", "key", "ls", "--color"),
	WRONG("another command's option is wrong usage", "no option \"--label\"", "key", "ls",
	      "--label", "x"),
	WRONG("an option that is given twice is wrong usage", "given twice", "key", "ls",
	      "--account", "a", "--account=b"),
	WRONG("a flag that is given twice is wrong usage", "--json is given twice.", "status",
	      "--json", "--json"),
	WRONG("an option before and behind the command is wrong usage", "--json is given twice.",
	      "--json", "key", "ls", "--json"),
	WRONG("an option without its value is wrong usage", "--account needs a value", "key", "ls",
	      "--account"),
	WRONG("an empty value is wrong usage", "must not be empty", "key", "ls", "--account="),
	WRONG("a value for a flag is wrong usage", "takes no value", "status", "--json=1"),
	WRONG("a word too many is wrong usage", "no further word", "key", "show", "a", "b"),
	WRONG("show without an ID is wrong usage", "needs a key's ID", "key", "show"),
	WRONG("revoke without an ID is wrong usage", "needs a key's ID", "key", "revoke"),
	WRONG("gate alone is wrong usage, which says what may follow",
	      "sluice: gate needs one of: ls, rm.\n", "gate"),
	WRONG("gate rm without a port is wrong usage", "needs a port", "gate", "rm"),
	WRONG("a drain that is too long is wrong usage", "from 0 to 3600", "gate", "rm", "80",
	      "--drain", "3601"),
	WRONG("shed add without a source is wrong usage", "needs an address", "shed", "add"),
	WRONG("no time to shed for is wrong usage", "from 1 to 2592000", "shed", "add", "::1",
	      "--seconds", "0"),
	WRONG("reload takes no word", "no further word", "reload", "now"),
	WRONG("an empty ID is wrong usage", NULL, "key", "revoke", ""),
	WRONG("create without an account is wrong usage", "needs --account", "key", "create",
	      "--label", "l"),
	WRONG("create without a label is wrong usage", "needs --label", "key", "create",
	      "--account", "a"),
	WRONG("edit without a change is wrong usage", "Say what to change", "key", "edit", "key_x"),
	WRONG("a limit of 0 is wrong usage", "from 1 to 10000", "key", "edit", "key_x",
	      "--per-minute", "0"),
	WRONG("a limit that is too large is wrong usage", "from 1 to 10000", "key", "edit", "key_x",
	      "--per-minute", "10001"),
	WRONG("a day's limit that is too large is wrong usage", "from 1 to 100000", "key", "edit",
	      "key_x", "--per-day", "100001"),
	WRONG("a limit with a sign is wrong usage", "from 1 to 100000", "key", "edit", "key_x",
	      "--per-day=+5"),
	WRONG("a limit that is no number is wrong usage", "from 1 to 100000", "key", "edit",
	      "key_x", "--per-day=5k"),
	WRONG("a limit over 64 bits is wrong usage", "from 1 to 100000", "key", "edit", "key_x",
	      "--per-day=18446744073709551617"),
	WRONG("an expiry that is no time is wrong usage, which says what is allowed",
	      "90d, 12h or 30m", "key", "create", "--account", "a", "--label", "l", "--expires",
	      "soon"),
	WRONG("an expiry on a day that does not exist is wrong usage", "--expires takes", "key",
	      "create", "--account", "a", "--label", "l", "--expires", "2027-02-29"),
	WRONG("an expiry in the past is wrong usage",
	      "--expires \"2001-01-01\" has passed; a date stands for its start, UTC.", "key",
	      "create", "--account", "a", "--label", "l", "--expires", "2001-01-01"),
	WRONG("an expiry in a hundred years and more is wrong usage",
	      "--expires \"999999999d\" is too far ahead", "key", "create", "--account", "a",
	      "--label", "l", "--expires", "999999999d"),
	WRONG("a label that is not UTF-8 is wrong usage", "UTF-8", "key", "create", "--account",
	      "a", "--label", "\xff"),
};

int main(void)
{
	return run_rows(rows, sizeof(rows) / sizeof(*rows), NULL, 0);
}
