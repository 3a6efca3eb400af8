// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The differential fuzzer: streams of requests, well-formed, ambiguous, cut and changed, through the
 * gate to servers that say what they executed. `make fuzz-gate` runs it for longer.
 *
 *	test_fuzz_gate [--seconds N] [--seed HEX] [--first N] [--count N] [--replay FILE]
 *
 * A seed gives the same streams on every run; what differs is how the kernel and the servers happen
 * to run. A finding is saved as a file, which --replay sends again many times. --first and --count choose
 * streams by number.
 */
#include <getopt.h>
#include <stdlib.h>
#include <sys/random.h>

#include "fuzz_gate/fuzz.h"
#include "harness.h"

#define DEFAULT_SECONDS 6

static struct fuzz_options options = { .seconds = DEFAULT_SECONDS };

static void fuzz(void **state)
{
	struct fuzz_result result;

	(void)state;
	printf("# seed %llx\n", (unsigned long long)options.seed);
	servers_start();
	fuzz_run(&options, &result);
	servers_stop();
	if (result.findings)
		fail_msg("%llu findings", (unsigned long long)result.findings);
	assert_true(result.streams > 0);
}

static bool read_options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'x' },
		{ "first", required_argument, NULL, 'f' },
		{ "count", required_argument, NULL, 'c' },
		{ "replay", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (option) {
		case 's':
			options.seconds = strtoul(optarg, NULL, 10);
			break;
		case 'x':
			options.seed = strtoull(optarg, NULL, 16);
			break;
		case 'f':
			options.first = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			options.count = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			options.replay = optarg;
			break;
		default:
			return false;
		}
	}
	return optind == argc;
}

static const struct promise promises[] = {
	{ "whatever is sent: executed is counted, what is well-formed is answered in full", fuzz,
	  ONCE },
};

int main(int argc, char **argv)
{
	if (getrandom(&options.seed, sizeof(options.seed), 0) != sizeof(options.seed) ||
	    !read_options(argc, argv)) {
		fprintf(stderr, "usage: test_fuzz_gate [--seconds N] [--seed HEX] [--first N] "
				"[--count N] [--replay FILE]\n");
		return EXIT_FAILURE;
	}
	for (enum server server = 0; server < SERVERS; server++)
		daemon_more_ports[server] = server_port(server);
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
