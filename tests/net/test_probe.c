// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Probed, not assumed: a kernel that does not do what the gate needs gets no gate. What a kernel may get
 * wrong is made wrong here on the bench, by taking away or replacing what is right, or for the daemon by
 * a program of somebody else's on the same cgroup.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench_stage.h"
#include "harness.h"
#include "http_client.h"
#include "probe.h"
#include "probe_bench.h"
#include "probe_talk.h"
#include "test/busy.skel.h"
#include "test/late.skel.h"
#include "test/unfit.skel.h"

#define PASSED "The kernel has passed"

/* --- small programs ---------------------------------------------------------------------------- */

#define MOVE(to, value)                                                                            \
	{                                                                                          \
		.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (to), .imm = (value)               \
	}
#define EXIT                                                                                       \
	{                                                                                          \
		.code = BPF_JMP | BPF_EXIT                                                         \
	}

static int load_program(enum bpf_prog_type type, enum bpf_attach_type attach,
			const struct bpf_insn *insns, size_t count)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach);
	int fd = bpf_prog_load(type, "test", "Dual BSD/GPL", insns, count, &options);

	assert_true(fd >= 0);
	return fd;
}

/* A program that says the same of everything. */
static int load_constant(enum bpf_prog_type type, enum bpf_attach_type attach, int verdict)
{
	const struct bpf_insn insns[] = { MOVE(BPF_REG_0, verdict), EXIT };

	return load_program(type, attach, insns, ARRAY_SIZE(insns));
}

/* Put a program, which is closed, behind a dispatcher. */
static void put_program(struct bpf_map *place, int program)
{
	__u32 zero = 0;

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(place), &zero, &program, BPF_ANY), 0);
	close(program);
}

/* --- faults ------------------------------------------------------------------------------------ */

static void verdict_is(struct bench *bench, int verdict)
{
	put_program(bench->programs->maps.verdict_program,
		    load_constant(BPF_PROG_TYPE_SK_SKB, 0, verdict));
}

static void all_is_passed(struct bench *bench)
{
	verdict_is(bench, SK_PASS);
}

static void all_is_dropped(struct bench *bench)
{
	verdict_is(bench, SK_DROP);
}

static void message_is(struct bench *bench, int verdict)
{
	put_program(bench->programs->maps.message_program,
		    load_constant(BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT, verdict));
}

static void messages_go_out_as_they_are(struct bench *bench)
{
	message_is(bench, SK_PASS);
}

static void messages_are_dropped(struct bench *bench)
{
	message_is(bench, SK_DROP);
}

/* Have programs of the test's own work on the bench's tables. */
static void share_tables(struct bench *bench, struct bpf_object *programs)
{
	struct bpf_map *map, *own;

	bpf_object__for_each_map(map, programs)
	{
		own = bpf_object__find_map_by_name(bench->programs->obj, bpf_map__name(map));
		if (own)
			assert_int_equal(bpf_map__reuse_fd(map, bpf_map__fd(own)), 0);
	}
}

/*
 * Answers get their headers whether these fit or not, as if the kernel filled its buffers by another
 * rule than the gate knows.
 */
static void headers_do_not_fit(struct bench *bench)
{
	struct unfit_bpf *unfit = unfit_bpf__open();

	assert_non_null(unfit);
	share_tables(bench, unfit->obj);
	assert_int_equal(unfit_bpf__load(unfit), 0);
	put_program(bench->programs->maps.message_program,
		    dup(bpf_program__fd(unfit->progs.sluice_message)));
	unfit_bpf__destroy(unfit);
}

static void worker_is_late(struct bench *bench)
{
	struct late_bpf *late = late_bpf__open();

	assert_non_null(late);
	share_tables(bench, late->obj);
	assert_int_equal(late_bpf__load(late), 0);
	put_program(bench->programs->maps.verdict_program,
		    dup(bpf_program__fd(late->progs.sluice_verdict)));
	late_bpf__destroy(late);
}

/* An injector keeps the program it was made with, so that it goes into the table again. */
static void worker_is_busy(struct bench *bench)
{
	int injectors = bpf_map__fd(bench->programs->maps.injectors);
	__u64 zero = 0, injector = bench->injector[1];
	struct busy_bpf *busy = busy_bpf__open();

	assert_non_null(busy);
	share_tables(bench, busy->obj);
	assert_int_equal(busy_bpf__load(busy), 0);
	assert_int_equal(bpf_map_delete_elem(injectors, &zero), 0);
	assert_int_equal(bpf_prog_attach(bpf_program__fd(busy->progs.sluice_inject), injectors,
					 BPF_SK_SKB_VERDICT, 0),
			 0);
	assert_int_equal(bpf_map_update_elem(injectors, &zero, &injector, BPF_ANY), 0);
	busy_bpf__destroy(busy);
}

static void nothing_is_enrolled(struct bench *bench)
{
	assert_int_equal(bpf_link__detach(bench->enrol), 0);
}

static void nothing_is_guarded(struct bench *bench)
{
	assert_int_equal(bpf_link__detach(bench->guard), 0);
}

static void clock_is_off(struct bench *bench)
{
	int fd = bpf_map__fd(bench->programs->maps.settings);
	struct settings settings;
	__u32 zero = 0;

	assert_int_equal(bpf_map_lookup_elem(fd, &zero, &settings), 0);
	settings.tai_offset_ns += 60 * 1000000000ULL;
	assert_int_equal(bpf_map_update_elem(fd, &zero, &settings, BPF_ANY), 0);
}

/* As if sockets kept, with the dispatcher, what it called when they were enrolled. */
static void sockets_keep_their_program(struct bench *bench)
{
	int program = bpf_program__fd(bench->programs->progs.sluice_verdict);
	int socks = bpf_map__fd(bench->programs->maps.socks);

	assert_int_equal(bpf_prog_attach(program, socks, BPF_SK_SKB_VERDICT, 0), 0);
}

static void drop_socket(struct bpf_map *map)
{
	__u64 zero = 0;

	assert_int_equal(bpf_map_delete_elem(bpf_map__fd(map), &zero), 0);
}

static void injector_calls_nothing(struct bench *bench)
{
	drop_socket(bench->programs->maps.injectors);
}

static void nobody_delivers(struct bench *bench)
{
	drop_socket(bench->programs->maps.deliverers);
}

static void sink_takes_nothing(struct bench *bench)
{
	drop_socket(bench->programs->maps.sink);
}

static void one_is_never_forgotten(struct bench *bench)
{
	int fd = bpf_map__fd(bench->programs->maps.enrolment);
	struct enrolment one = { .open = 1 };
	__u32 zero = 0;

	assert_int_equal(bpf_map_update_elem(fd, &zero, &one, BPF_ANY), 0);
}

/* It does so at first: it is the probe "sink", which is not made here, that breaks it. */
static void sink_takes_what_comes(struct bench *bench)
{
	(void)bench;
}

/* A probe, the fault that it must find, and what it must say. */
static const struct {
	const char *probe;
	void (*fault)(struct bench *bench);
	const char *says;
} faults[] = {
	{ "enrolment", nothing_is_enrolled, "not put into the sockhash" },
	{ "guard", nothing_is_guarded, "gets what it must not get" },
	{ "verdict", all_is_passed, "gets what it must not get" },
	{ "verdict", all_is_dropped, "does not reach the application" },
	{ "wake-up", all_is_dropped, "is not woken" },
	{ "answer", messages_go_out_as_they_are, "does not get the gate's answer" },
	{ "answer", messages_are_dropped, "does not get the gate's answer" },
	{ "clock", clock_is_off, "is not CLOCK_REALTIME" },
	{ "headers", messages_go_out_as_they_are, "does not get the headers" },
	{ "headers", messages_are_dropped, "is not told that its answer was sent" },
	{ "whole-answers", headers_do_not_fit, "does not come whole" },
	{ "replacement", sockets_keep_their_program, "keeps the program that was replaced" },
	{ "sink", injector_calls_nothing, "goes on taking" },
	{ "injection", injector_calls_nothing, "are not judged" },
	{ "injection", all_is_dropped, "are not handed up" },
	{ "injection", nobody_delivers, "does not fail as it should" },
	{ "silence", sink_takes_nothing, "not eaten in silence" },
	{ "silence", sink_takes_what_comes, "is told EAGAIN" },
	{ "before-accept", all_is_passed, "gets what it must not get" },
	{ "closing", messages_are_dropped, "does not get the gate's answer" },
	{ "records", one_is_never_forgotten, "leaves its record" },
};

/* --- the bench --------------------------------------------------------------------------------- */

static void passed(void **state)
{
	struct bench *bench = open_bench();

	(void)state;
	for (size_t i = 0; i < kernel_probe_count; i++) {
		uint64_t start_ms = monotonic_ms();
		const char *wrong = kernel_probes[i].check(bench);

		if (wrong)
			fail_msg("%s: %s", kernel_probes[i].name, wrong);
		printf("# %s: %lu ms\n", kernel_probes[i].name, monotonic_ms() - start_ms);
	}
	bench_close(bench);
}

/*
 * Whether the kernel fills send buffers by tcp_sendmsg_locked() alone. Before 6.5 it cuts messages
 * elsewhere, where the probe about answers that do not fit has not been seen to come to.
 */
static bool kernel_splices(void)
{
	return kernel_is(6, 5);
}

/* What a probe says of a fault. */
static void expect_found(size_t i)
{
	struct bench *bench;
	const char *wrong;

	if (faults[i].fault == headers_do_not_fit && !kernel_splices()) {
		printf("# not on this kernel: the fault of %s\n", faults[i].probe);
		return;
	}
	bench = open_bench();
	faults[i].fault(bench);
	wrong = find_probe(faults[i].probe)->check(bench);
	bench_close(bench);
	if (!wrong || !strstr(wrong, faults[i].says))
		fail_msg("%s says \"%s\", not \"%s\"", faults[i].probe, wrong ? wrong : "",
			 faults[i].says);
}

static void found(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		expect_found(i);
	for (size_t i = 0; i < kernel_probe_count; i++) {
		size_t tried = 0;

		for (size_t j = 0; j < ARRAY_SIZE(faults); j++)
			tried += !strcmp(faults[j].probe, kernel_probes[i].name);
		if (!tried)
			fail_msg("no fault is made for %s", kernel_probes[i].name);
	}
}

static void behind_answer(void **state)
{
	static const char *const names[] = { "answer", "silence", "before-accept" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct bench *bench = open_bench();
		const char *wrong = find_probe("sink")->check(bench);
		uint64_t handed = bench_count(bench, COUNTER_HANDED_UP);

		assert_null(wrong);
		worker_is_late(bench);
		wrong = find_probe(names[i])->check(bench);
		assert_int_equal(bench_count(bench, COUNTER_HANDED_UP), handed + 1);
		bench_close(bench);
		if (wrong)
			fail_msg("%s: %s", names[i], wrong);
	}
}

/* Bytes that were passed may be with the kernel's worker yet: those behind them wait. */
static void in_order(void **state)
{
	struct bench *bench = open_bench();
	size_t length = talk_admitted_length(bench), half = length / 2;
	struct injection injection = { .kind = INJECT_BYTES };

	(void)state;
	worker_is_busy(bench);
	assert_null(talk_connect(bench, NULL));
	assert_null(talk_send_part(bench, 0, half));
	assert_true(bench_relay(bench));
	assert_null(talk_send_part(bench, half, length));
	while (bench->kept_length < length)
		assert_true(bench_relay(bench));
	injection.cookie = bench_cookie(bench);
	injection.number = bench->kept_length;
	assert_int_equal(bench_inject(bench, &injection, bench->kept, length), INJECTED_WAIT);
	assert_null(talk_application_reads_nothing(bench));
	assert_int_equal(bench_inject(bench, &injection, bench->kept, length), INJECTED_TAKEN);
	assert_null(talk_application_reads(bench));
	bench_close(bench);
}

/* --- the daemon -------------------------------------------------------------------------------- */

/* Packets longer than so many bytes are lost, which the longer of the probes' requests are. */
#define LOST_ABOVE 150

/* Lose packets on the stage, until the link that is returned is closed. */
static int lose_packets(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W,
		  .dst_reg = BPF_REG_2,
		  .src_reg = BPF_REG_1,
		  .off = offsetof(struct __sk_buff, len) },
		MOVE(BPF_REG_0, 0),
		{ .code = BPF_JMP | BPF_JGT | BPF_K,
		  .dst_reg = BPF_REG_2,
		  .off = 1,
		  .imm = LOST_ABOVE },
		MOVE(BPF_REG_0, 1),
		EXIT,
	};
	int program = load_program(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS, insns,
				   ARRAY_SIZE(insns));
	int cgroup = open(stage.cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int link = bpf_link_create(program, cgroup, BPF_CGROUP_INET_INGRESS, NULL);

	assert_true(link >= 0);
	close(program);
	close(cgroup);
	return link;
}

/* The exit status, -1 where it does not end: it loads the programs twice, which takes its time. */
static int await_exit(pid_t pid)
{
	uint64_t end_ms = monotonic_ms() + 6 * PATIENCE_MS;
	int status;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (monotonic_ms() > end_ms) {
			process_stop(pid, SIGKILL);
			return -1;
		}
		breathe();
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The daemon, on a kernel that loses packets, ends and says which probe failed. */
static void expect_refused(void)
{
	size_t said = count_lines(stage.daemon_log, "The probe \"verdict\" failed");
	int link = lose_packets();
	pid_t pid = process_start(stage.daemon_log, daemon_command(0));
	int status = await_exit(pid);

	close(link);
	assert_int_equal(status, 1);
	assert_int_equal(count_lines(stage.daemon_log, "The probe \"verdict\" failed"), said + 1);
}

/* As if the daemon were another build, or the machine had been booted. */
static void forget_note(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/probed", stage.state);
	assert_true(!unlink(path) || errno == ENOENT);
}

static void refused(void **state)
{
	const struct application *application = &applications[NGINX];

	(void)state;
	forget_note();
	expect_refused();
	assert_true(access(stage.pins, F_OK));
	assert_int_equal(process_find("sluiced-relay"), 0);
	assert_int_equal(client_get(client_open(application->port), "/", NULL), 200);
	/* What failed is tried again. */
	daemon_start();
	assert_int_equal(client_get(client_open(application->port), "/", NULL), 401);
}

static void stands_on(void **state)
{
	const struct application *application = &applications[NGINX];
	struct client *client;
	struct key key;

	(void)state;
	daemon_start();
	key = key_limited(0, 0);
	client = client_open(application->port);
	assert_int_equal(client_get(client, "/", key.text), 200);
	daemon_stop();
	forget_note();
	expect_refused();
	for (int i = 0; i < 2; i++) {
		assert_int_equal(client_get(client, "/", key.text), 200);
		assert_int_equal(client_get(client, "/", NULL), 401);
		client = client_open(application->port);
	}
	daemon_start();
	assert_int_equal(client_get(client, "/", key.text), 200);
}

/* A gate that stands, with requests on their way, beside a bench. */
static void left_alone(void **state)
{
	const struct application *application = &applications[NGINX];
	struct client *client;
	struct response response;
	unsigned int ms = 0;
	char why[512] = "";
	int64_t opened;
	struct key key;

	(void)state;
	daemon_start();
	key = key_limited(0, 0);
	client = client_open(application->port);
	assert_int_equal(client_get(client, "/", key.text), 200);
	client_printf(client, "GET / HTTP/1.1\r\nHost: api.test\r\n");
	opened = status_number("counts.connectionsOpened");
	assert_true(sodium_init() >= 0);
	libbpf_set_print(bench_ignore);
	if (probe_kernel(&ms, why, sizeof(why)))
		fail_msg("%s", why);
	printf("# all probes: %u ms\n", ms);
	assert_int_equal(status_number("counts.connectionsOpened"), opened);
	assert_int_equal(status_number("counts.guardDropped"), 0);
	client_printf(client, "Authorization: Bearer %s\r\n\r\n", key.text);
	assert_int_equal(client_read(client, false, &response), 0);
	expect_admitted(&response, 200);
	assert_int_equal(client_get(client_open(application->port), "/", NULL), 401);
}

static void once_a_boot(void **state)
{
	size_t passed_before = count_lines(stage.daemon_log, PASSED);
	char path[128];
	FILE *note;

	(void)state;
	forget_note();
	daemon_start();
	assert_int_equal(count_lines(stage.daemon_log, PASSED), passed_before + 1);
	daemon_stop();
	daemon_start();
	assert_int_equal(count_lines(stage.daemon_log, PASSED), passed_before + 1);
	daemon_stop();
	/* What another build, or another boot, noted does not count. */
	snprintf(path, sizeof(path), "%s/probed", stage.state);
	note = fopen(path, "r+e");
	assert_non_null(note);
	fputc('x', note);
	fclose(note);
	daemon_start();
	assert_int_equal(count_lines(stage.daemon_log, PASSED), passed_before + 2);
}

static const struct promise promises[] = {
	{ "this kernel passes each probe", passed, ONCE },
	{ "each probe finds what it is for, and says so", found, ONCE },
	{ "a probe is made again where the kernel was not done with an answer", behind_answer,
	  ONCE },
	{ "what is sent back in waits for what the kernel's worker has", in_order, ONCE },
	{ "where a probe fails no gate goes up, and the daemon says which", refused, ONCE },
	{ "where a probe fails a gate that stands goes on", stands_on, ONCE },
	{ "probes touch nothing of a gate that stands", left_alone, ONCE },
	{ "probes that were passed are not made again before the next boot or build", once_a_boot,
	  ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
