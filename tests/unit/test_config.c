/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Configuration: the command line, the file, and which of them wins. */
#include <errno.h>
#include <grp.h>

#include "check.h"
#include "network.h"
#include "config.h"
#include "temp_folder.h"
#include "util.h"

#define WORDS_MAX 20

static struct config config;
static char why[512];

static int set_up(void **state)
{
	(void)state;
	return temp_folder_make();
}

static int tear_down(void **state)
{
	(void)state;
	return temp_folder_remove();
}

/* Write the file that stands in for /etc/sluice/sluice.conf. */
static const char *write_file(const char *text)
{
	const char *path = temp_path("sluice.conf");
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return path;
}

/* Read a command line, given as words with spaces between them. */
static int read_line(const char *line)
{
	static char copy[512];
	char *words[WORDS_MAX + 1] = { "sluiced" };
	int count = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word && count < WORDS_MAX; word = strtok(NULL, " "))
		words[count++] = word;
	memset(&config, 0xaa, sizeof(config));
	*why = '\0';
	return config_read(count, words, temp_path("sluice.conf"), &config, why, sizeof(why));
}

static void expect_port(size_t index, uint32_t port, uint32_t head_limit, bool keep_identity,
			bool pass_trailers)
{
	assert_true(index < config.port_count);
	assert_int_equal(config.ports[index].port, port);
	assert_int_equal(config.ports[index].head_limit, head_limit);
	assert_int_equal(config.ports[index].keep_identity, keep_identity);
	assert_int_equal(config.ports[index].pass_trailers, pass_trailers);
}

static void test_defaults(void **state)
{
	(void)state;
	assert_int_equal(read_line("--port 8080"), 0);
	assert_int_equal(config.action, CONFIG_RUN);
	assert_string_equal(config.state, "/var/lib/sluice");
	assert_string_equal(config.socket, "/run/sluice/control.sock");
	assert_int_equal(config.socket_group, GROUP_NONE);
	assert_false(config.socket_private);
	assert_string_equal(config.pin, "/sys/fs/bpf/sluice");
	assert_string_equal(config.cgroup, "");
	assert_string_equal(config.key_word, "gx");
	assert_int_equal(config.keys_per_account, 10);
	assert_int_equal(config.port_count, 1);
	expect_port(0, 8080, 16384, false, false);
}

static void test_options(void **state)
{
	(void)state;
	assert_int_equal(read_line("--port 80 --port=443 --port 80 --state /s --socket /c.sock "
				   "--pin /p --cgroup /g --identity keep --trailers pass"),
			 0);
	assert_string_equal(config.state, "/s");
	assert_string_equal(config.socket, "/c.sock");
	assert_string_equal(config.pin, "/p");
	assert_string_equal(config.cgroup, "/g");
	assert_int_equal(config.port_count, 2);
	expect_port(0, 80, 16384, true, true);
	expect_port(1, 443, 16384, true, true);
}

static void test_actions(void **state)
{
	(void)state;
	assert_int_equal(read_line("--help"), 0);
	assert_int_equal(config.action, CONFIG_HELP);
	assert_int_equal(read_line("--version"), 0);
	assert_int_equal(config.action, CONFIG_VERSION);
	/* Who asks for help gets it, and nothing is done. */
	assert_int_equal(read_line("--help --remove"), 0);
	assert_int_equal(config.action, CONFIG_HELP);
	assert_int_equal(read_line("--remove --port 80 --backup /b --help"), 0);
	assert_int_equal(config.action, CONFIG_HELP);
	assert_int_equal(read_line("--drain 5 --identity both --version --help"), 0);
	assert_int_equal(config.action, CONFIG_VERSION);
	assert_int_equal(read_line("--remove --pin /p"), 0);
	assert_int_equal(config.action, CONFIG_REMOVE);
	assert_string_equal(config.pin, "/p");
	assert_int_equal(config.drain_seconds, CONFIG_DRAIN_DEFAULT);
	assert_int_equal(read_line("--remove --state /s --socket /c --cgroup /g"), 0);
	assert_int_equal(config.action, CONFIG_REMOVE);
	assert_string_equal(config.state, "/s");
	assert_int_equal(read_line("--remove --drain 0"), 0);
	assert_int_equal(config.drain_seconds, 0);
	assert_int_equal(read_line("--state /s --backup /b"), 0);
	assert_int_equal(config.action, CONFIG_BACKUP);
	assert_string_equal(config.backup, "/b");
	assert_string_equal(config.state, "/s");
	assert_int_equal(read_line("--restore /r"), 0);
	assert_int_equal(config.action, CONFIG_RESTORE);
	assert_string_equal(config.backup, "/r");
}

static void test_file(void **state)
{
	(void)state;
	write_file("# a comment\n"
		   "[sluice]\n"
		   "state = /s   ; another\n"
		   "socket = /c.sock\n"
		   "socket_group = 4711\n"
		   "socket_mode = 0600\n"
		   "pin = /p\n"
		   "cgroup = /g\n"
		   "key_word = acme1\n"
		   "max_keys = 20000\n"
		   "max_connections = 1000\n"
		   "guess_sources = 2000\n"
		   "keys_per_account = 3\n"
		   "\n"
		   "[port 8080]\n"
		   "identity = keep\n"
		   "trailers = refuse\n"
		   "head_limit = 4096\n"
		   "[port 443]\n"
		   "trailers = pass\n");
	assert_int_equal(read_line(""), 0);
	assert_string_equal(config.state, "/s");
	assert_string_equal(config.socket, "/c.sock");
	assert_int_equal(config.socket_group, 4711);
	assert_true(config.socket_private);
	assert_string_equal(config.pin, "/p");
	assert_string_equal(config.cgroup, "/g");
	assert_string_equal(config.key_word, "acme1");
	assert_int_equal(config.max_keys, 20000);
	assert_int_equal(config.max_connections, 1000);
	assert_int_equal(config.guess_sources, 2000);
	assert_int_equal(config.keys_per_account, 3);
	assert_int_equal(config.port_count, 2);
	expect_port(0, 8080, 4096, true, false);
	expect_port(1, 443, 16384, false, true);
}

static void test_group_by_name(void **state)
{
	const struct group *group = getgrgid(0);
	char text[128];

	(void)state;
	assert_non_null(group);
	snprintf(text, sizeof(text), "[sluice]\nsocket_group = %s\n[port 80]\n", group->gr_name);
	write_file(text);
	assert_int_equal(read_line(""), 0);
	assert_int_equal(config.socket_group, 0);
}

static void test_line_wins(void **state)
{
	(void)state;
	write_file("[sluice]\nstate = /s\npin = /p\n[port 80]\nhead_limit = 4096\nidentity = keep\n"
		   "trailers = pass\n[port 81]\n");
	assert_int_equal(read_line("--state /other --port 90 --port 80"), 0);
	assert_string_equal(config.state, "/other");
	assert_string_equal(config.pin, "/p");
	assert_int_equal(config.port_count, 2);
	expect_port(0, 90, 16384, false, false);
	expect_port(1, 80, 4096, true, true);
	assert_int_equal(read_line("--identity swap"), 0);
	expect_port(0, 80, 4096, false, true);
	expect_port(1, 81, 16384, false, false);
	assert_int_equal(read_line("--trailers refuse"), 0);
	expect_port(0, 80, 4096, true, false);
	assert_int_equal(read_line("--trailers pass"), 0);
	expect_port(1, 81, 16384, false, true);
}

/* Sections of ports that --port does not name are noted, so that somebody can say it. */
static void test_unused_sections(void **state)
{
	(void)state;
	write_file("[port 80]\n[port 81]\n[port 82]\n");
	assert_int_equal(read_line(""), 0);
	assert_false(config.ports_given);
	assert_int_equal(config.unused_count, 0);
	assert_int_equal(read_line("--port 90 --port 81"), 0);
	assert_true(config.ports_given);
	assert_int_equal(config.port_count, 2);
	assert_int_equal(config.unused_count, 2);
	assert_int_equal(config.unused_ports[0], 80);
	assert_int_equal(config.unused_ports[1], 82);
	assert_string_equal(config.file, temp_path("sluice.conf"));
}

static void test_other_file(void **state)
{
	char line[256];

	(void)state;
	write_file("this would be an error");
	rename(temp_path("sluice.conf"), temp_path("other.conf"));
	assert_int_equal(read_line("--port 80"), 0);
	snprintf(line, sizeof(line), "--port 80 --config %s", temp_path("other.conf"));
	assert_int_equal(read_line(line), -EINVAL);
	snprintf(line, sizeof(line), "--port 80 --config %s", temp_path("none.conf"));
	assert_int_equal(read_line(line), -ENOENT);
	assert_non_null(strstr(why, "none.conf cannot be read: No such file or directory."));
}

static const struct {
	const char *line;
	const char *message;
} wrong_lines[] = {
	{ "", "There is no port to protect: give --port N, or a [port N] section in /" },
	{ "--port", "--port needs a value; see --help." },
	{ "--port 0", "--port must be a number from 1 to 65535, not '0'." },
	{ "--port 65536", "--port must be a number from 1 to 65535, not '65536'." },
	{ "--port -1", "--port must be a number from 1 to 65535, not '-1'." },
	{ "--port 80x", "--port must be a number from 1 to 65535, not '80x'." },
	{ "--port 99999999999999999999",
	  "--port must be a number from 1 to 65535, not '99999999999999999999'." },
	{ "--port 80 --identity both", "--identity must be 'swap' or 'keep', not 'both'." },
	{ "--port 80 --trailers yes", "--trailers must be 'refuse' or 'pass', not 'yes'." },
	{ "--port 80 --socket= ", "--socket must be a path of 1 to 107 bytes." },
	{ "--remove --drain", "--drain needs a value; see --help." },
	{ "--remove --drain 3601",
	  "--drain must be a number of seconds from 0 to 3600, not '3601'." },
	{ "--remove --drain -1", "--drain must be a number of seconds from 0 to 3600, not '-1'." },
	{ "--port 80 --remove=now", "--remove=now: the option takes no value." },
	{ "--backup", "--backup needs a value; see --help." },
	{ "--backup=", "--backup must be a path of 1 to 255 bytes." },
	{ "--backup /a --restore /a", "--backup and --restore cannot be given together." },
	{ "--restore /a --restore /b", "--restore can be given once." },
	{ "--backup /a --remove", "--backup and --remove cannot be given together." },
	{ "--remove --backup /a", "--remove and --backup cannot be given together." },
	{ "--remove --relay", "--remove and --relay cannot be given together." },
	{ "--remove --port 3000", "--remove and --port cannot be given together." },
	{ "--port 3000 --remove", "--remove and --port cannot be given together." },
	{ "--backup /a --port 80", "--backup and --port cannot be given together." },
	{ "--restore /a --drain 5", "--restore and --drain cannot be given together." },
	{ "--remove --identity keep", "--remove and --identity cannot be given together." },
	{ "--restore /a --trailers pass", "--restore and --trailers cannot be given together." },
	{ "--port 80 --drain 5", "--drain goes with --remove alone." },
	{ "--port 80 --drain 10", "--drain goes with --remove alone." },
	{ "--port 80 --verbose", "There is no option --verbose; see --help." },
	{ "--port 80 -v", "There is no option -v; see --help." },
	{ "--port 80 81", "'81' is not an option; see --help." },
};

static void test_wrong_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong_lines); i++) {
		assert_int_equal(read_line(wrong_lines[i].line),
				 *wrong_lines[i].line ? -EINVAL : -ENODATA);
		if (strncmp(why, wrong_lines[i].message, strlen(wrong_lines[i].message)))
			assert_string_equal(why, wrong_lines[i].message);
	}
}

#define LONG50 "llllllllllllllllllllllllllllllllllllllllllllllllll"

static const struct {
	const char *text;
	int line;
	const char *message;
} wrong_files[] = {
	{ "state = /s\n", 1, "'state' stands before any section; begin with [sluice] or [port N]" },
	{ "[gate]\n", 1, "unknown section [gate]; there are [sluice], [shed] and [port N]" },
	{ "\n[Sluice]\n", 2, "unknown section [Sluice]; there are [sluice], [shed] and [port N]" },
	{ "[sluice]\nsecret = 1\n", 2,
	  "unknown setting 'secret'; [sluice] has state, socket, socket_group, socket_mode, pin, "
	  "cgroup, key_word, max_keys, max_connections, guess_sources, keys_per_account" },
	{ "[sluice]\nsocket_group = nobody-s\n", 2,
	  "'socket_group' must be a group's name or number; there is no group 'nobody-s'" },
	{ "[sluice]\nsocket_group = 4294967295\n", 2,
	  "'socket_group' must be a group's name or number; there is no group '4294967295'" },
	{ "[sluice]\nsocket_group = -1\n", 2,
	  "'socket_group' must be a group's name or number; there is no group '-1'" },
	{ "[sluice]\nsocket_mode = 0666\n", 2,
	  "'socket_mode' must be '0660' or '0600', not '0666'" },
	{ "[port 80]\nstate = /s\n", 2,
	  "unknown setting 'state'; [port 80] has identity, trailers, head_limit" },
	{ "[sluice]\npin = /a\npin = /b\n", 3, "'pin' is there twice in [sluice]" },
	{ "[sluice]\npin = /a\n  /b\n", 3, "'pin' is there twice in [sluice]" },
	{ "[sluice]\nstate =\n", 2, "'state' must be a path of 1 to 255 bytes" },
	{ "[sluice]\nkey_word = Key_1\n", 2,
	  "'key_word' must be 1 to 8 of a-z and 0-9, a letter first, not 'Key_1'" },
	{ "[sluice]\nmax_keys = 0\n", 2, "'max_keys' must be a number from 1 to 1000000, not '0'" },
	{ "[sluice]\nmax_keys = 1e3\n", 2,
	  "'max_keys' must be a number from 1 to 1000000, not '1e3'" },
	{ "[sluice]\nmax_connections = 63\n", 2,
	  "'max_connections' must be a number from 64 to 1048576, not '63'" },
	{ "[sluice]\nguess_sources = 0\n", 2,
	  "'guess_sources' must be a number from 1024 to 262144, not '0'" },
	{ "[sluice]\nkeys_per_account = 1001\n", 2,
	  "'keys_per_account' must be a number from 1 to 1000, not '1001'" },
	{ "[port 80]\nidentity = none\n", 2, "'identity' must be 'swap' or 'keep', not 'none'" },
	{ "[port 80]\ntrailers = Pass\n", 2, "'trailers' must be 'refuse' or 'pass', not 'Pass'" },
	{ "[port 80]\nhead_limit = 16385\n", 2,
	  "'head_limit' must be a number from 1024 to 16384, not '16385'" },
	{ "[shed]\n[shed]\n", 2, "[shed] is there twice" },
	{ "[shed]\npin = /p\n", 2,
	  "unknown setting 'pin'; [shed] has interfaces, refusals, seconds, first, cap, "
	  "max_sources, exempt, ipv4_prefix, ipv6_prefix" },
	{ "[shed]\ninterfaces = eth0 eth/1\n", 2,
	  "'interfaces' must be names of network interfaces, such as eth0, not 'eth/1'" },
	{ "[shed]\ninterfaces = a234567890123456\n", 2,
	  "'interfaces' must be names of network interfaces, such as eth0, not "
	  "'a234567890123456'" },
	{ "[shed]\ninterfaces = eth0, eth0\n", 2, "'interfaces' has eth0 twice" },
	{ "[shed]\ninterfaces = eth0\ninterfaces = eth0\n", 3, "'interfaces' has eth0 twice" },
	{ "[shed]\ninterfaces = a b c d e f g h i j k l m n o p q\n", 2,
	  "'interfaces' must be 16 names at most" },
	{ "[shed]\nrefusals = 9\n", 2, "'refusals' must be a number from 10 to 1000000, not '9'" },
	{ "[shed]\nseconds = 0\n", 2, "'seconds' must be a number from 1 to 3600, not '0'" },
	{ "[shed]\nseconds = 5\nseconds = 5\n", 3, "'seconds' is there twice in [shed]" },
	{ "[shed]\nmax_sources = 15\n", 2,
	  "'max_sources' must be a number from 16 to 1048576, not '15'" },
	{ "[shed]\nexempt = 10.0.0.0/8, office\n", 2,
	  "'exempt' must be networks, such as 192.0.2.0/24 or 2001:db8::/32, or addresses, not "
	  "'office'" },
	{ "[shed]\nexempt = 10.1.0.0/8\n", 2,
	  "'exempt' has '10.1.0.0/8', where bits are set behind the prefix" },
	{ "[shed]\nipv4_prefix = 33\n", 2,
	  "'ipv4_prefix' must be a number from 8 to 32, not '33'" },
	{ "[port]\n", 1, "unknown section [port]; there are [sluice], [shed] and [port N]" },
	{ "[port 0]\n", 1, "[port 0]: a port is a number from 1 to 65535" },
	{ "[port http]\n", 1, "[port http]: a port is a number from 1 to 65535" },
	{ "[port 80]\n[port 81]\n[port 80]\n", 3, "[port 80] is there twice" },
	{ "[sluice]\npin = /p\n[port 80]\n[sluice]\nstate = /s\n", 4, "[sluice] is there twice" },
	{ "[sluice]\nstate\n", 2, "neither a [section] nor a 'name = value'" },
	{ "[sluice]\n[port 80\n", 2, "neither a [section] nor a 'name = value'" },
	{ "[sluice]\nstate\nsecret = 1\n", 2, "neither a [section] nor a 'name = value'" },
	{ "[sluice]\nstate = " LONG50 LONG50 LONG50 LONG50 "\n", 2,
	  "the line is too long; 198 bytes are allowed" },
};

static void test_wrong_files(void **state)
{
	static const char *const behind[] = { "", "# a comment\n", "max_keys = 5\n" };
	char expected[512], text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong_files) * ARRAY_SIZE(behind); i++) {
		size_t row = i / ARRAY_SIZE(behind);
		const char *path;

		snprintf(text, sizeof(text), "%s%s", wrong_files[row].text,
			 behind[i % ARRAY_SIZE(behind)]);
		path = write_file(text);
		snprintf(expected, sizeof(expected), "%s:%d: %s.", path, wrong_files[row].line,
			 wrong_files[row].message);
		assert_int_equal(read_line("--port 80"), -EINVAL);
		assert_string_equal(why, expected);
	}
}

/* Copy the configuration that a document of the checkout shows, which begins with the line mark. */
static void write_example(const char *document, const char *mark)
{
	char line[256], text[4096] = "";
	FILE *file = fopen(document, "r");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (!*text && strcmp(line, mark))
			continue;
		/* A paragraph of Markdown or a macro of mdoc ends it. */
		if (*line == '.' || (*mark == ' ' && *line != ' ' && *line != '\n'))
			break;
		assert_true(strlen(text) + strlen(line) < sizeof(text));
		strcat(text, line + strspn(line, " "));
	}
	fclose(file);
	write_file(text);
}

static void test_examples(void **state)
{
	(void)state;
	write_example("README.md", "    [sluice]\n");
	assert_int_equal(read_line(""), 0);
	assert_string_equal(config.key_word, "gx");
	assert_int_equal(config.max_keys, 65536);
	assert_int_equal(config.max_connections, 65536);
	assert_int_equal(config.guess_sources, 16384);
	assert_int_equal(config.keys_per_account, 10);
	assert_int_equal(config.port_count, 2);
	expect_port(0, 3000, 16384, false, false);
	expect_port(1, 3001, 8192, true, true);

	write_example("scripts/sluiced.8", "[sluice]\n");
	assert_int_equal(read_line(""), 0);
	assert_int_equal(config.keys_per_account, 20);
	assert_int_equal(config.port_count, 2);
	expect_port(1, 3001, 8192, true, false);
}

static void test_shed(void **state)
{
	struct network network;

	(void)state;
	assert_int_equal(read_line("--port 80"), 0);
	assert_int_equal(config.shed.interfaces.count, 0);
	assert_int_equal(config.shed.refusals, 1000);
	assert_int_equal(config.shed.max_sources, 65536);
	write_file("[shed]\ninterfaces = eth0, eth0.100\ninterfaces = wan\nexempt = 10.0.0.0/8\n"
		   "  2001:db8::/32\nfirst = 5\ncap = 5\n[port 80]\n");
	assert_int_equal(read_line(""), 0);
	assert_int_equal(config.shed.interfaces.count, 3);
	assert_string_equal(config.shed.interfaces.names[1], "eth0.100");
	assert_string_equal(config.shed.interfaces.names[2], "wan");
	assert_int_equal(config.shed.exempt.count, 2);
	assert_int_equal(network_read("2001:db8::/32", &network), 0);
	assert_memory_equal(&config.shed.exempt.rows[1], &network, sizeof(network));
	write_file("[shed]\nfirst = 6\ncap = 5\n[port 80]\n");
	assert_int_equal(read_line(""), -EINVAL);
	assert_string_equal(why,
			    "In [shed] 'first' is 6, and must not be more than 'cap', which is 5.");
}

static void test_too_many_ports(void **state)
{
	char text[2048] = "";
	size_t used = 0;

	(void)state;
	for (int port = 1; port <= CONFIG_PORTS_MAX + 1; port++)
		used += snprintf(text + used, sizeof(text) - used, "[port %d]\n", port);
	write_file(text);
	assert_int_equal(read_line(""), -EINVAL);
	assert_non_null(strstr(why, ":65: too many ports; 64 are allowed"));
}

static void test_untouched(void **state)
{
	(void)state;
	assert_int_equal(read_line("--port 0"), -EINVAL);
	assert_int_equal(config.max_keys, 0xaaaaaaaa);
}

static void test_remove(void **state)
{
	char text[CONFIG_REMOVE_SIZE];

	(void)state;
	assert_int_equal(read_line("--port 80 --socket /c.sock"), 0);
	config_format_remove(&config, text);
	assert_string_equal(text, "sluiced --remove");
	assert_int_equal(read_line("--port 80 --cgroup /g --state /s"), 0);
	config_format_remove(&config, text);
	assert_string_equal(text, "sluiced --remove --state /s --cgroup /g");
	write_file("[sluice]\npin = /p\n[port 80]\n");
	assert_int_equal(read_line("--state /var/lib/sluice"), 0);
	config_format_remove(&config, text);
	assert_string_equal(text, "sluiced --remove --pin /p");
}

/* Whatever can be set is in the help. */
static void test_help(void **state)
{
	static const char *const names[] = {
		"--port N",	    "--state DIR",   "--socket PATH",	"--pin DIR",
		"--cgroup DIR",	    "--identity ",   "--trailers ",	"--config FILE",
		"choose no ports",  "--remove",	     "--help",		"--version",
		"key_word",	    "max_keys",	     "max_connections", "head_limit",
		"keys_per_account", "--backup DIR",  "--restore DIR",	"socket_group",
		"socket_mode",	    "guess_sources", "interfaces",	"refusals",
		"max_sources",	    "exempt",	     "ipv6_prefix",
	};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	config_print_help(out);
	fclose(out);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_non_null(strstr(text, names[i]));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW("a port is all that must be given", test_defaults),
		ROW("options set what they name", test_options),
		ROW("what is no daemon needs no port", test_actions),
		ROW("the file sets what it names; a bare [port N] is a port", test_file),
		ROW("a group may be named", test_group_by_name),
		ROW("the command line wins over the file", test_line_wins),
		ROW("sections of ports that --port does not name are noted", test_unused_sections),
		ROW("--config reads another file, which must be there", test_other_file),
		ROW("each wrong command line has its own message", test_wrong_lines),
		ROW("each wrong file is told with its line and what is allowed", test_wrong_files),
		ROW("the examples of README.md and sluiced(8) can be used as they are",
		    test_examples),
		ROW("lists may have several lines", test_shed),
		ROW("more ports than there is room for are refused", test_too_many_ports),
		ROW("a refused configuration changes nothing", test_untouched),
		ROW("the command that takes the gate down names what is not as by default",
		    test_remove),
		ROW("the help names everything that can be set", test_help),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
