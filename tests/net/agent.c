// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent.h"

#include <fcntl.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "harness.h"

#define OPERATION_AT 0 /* offset of bpf_sock_ops.op */
#define KEY_ON_STACK -8

static int load(enum bpf_prog_type type, const struct bpf_insn *code, size_t count)
{
	int fd = bpf_prog_load(type, "agent", "GPL", code, count, NULL);

	assert_true(fd >= 0);
	return fd;
}

/* if (op == PASSIVE_ESTABLISHED) bpf_sock_hash_update(ctx, map, &cookie, BPF_NOEXIST); return 1; */
static int load_enrol(int map)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1 },
		{ .code = BPF_LDX | BPF_MEM | BPF_W,
		  .dst_reg = 2,
		  .src_reg = 6,
		  .off = OPERATION_AT },
		{ .code = BPF_JMP | BPF_JNE | BPF_K,
		  .dst_reg = 2,
		  .off = 9,
		  .imm = BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_socket_cookie },
		{ .code = BPF_STX | BPF_MEM | BPF_DW,
		  .dst_reg = 10,
		  .src_reg = 0,
		  .off = KEY_ON_STACK },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 6 },
		{ .code = BPF_LD | BPF_IMM | BPF_DW,
		  .dst_reg = 2,
		  .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = map },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 3, .src_reg = 10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 3, .imm = KEY_ON_STACK },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 4, .imm = BPF_NOEXIST },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_sock_hash_update },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return load(BPF_PROG_TYPE_SOCK_OPS, code, ARRAY_SIZE(code));
}

struct agent agent_open(enum agent_kind kind)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = SK_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	bool messages = kind == AGENT_MESSAGES;
	struct agent agent = {
		.map = bpf_map_create(BPF_MAP_TYPE_SOCKHASH, "agent", 8, 8, 1024, NULL),
		.program = load(messages ? BPF_PROG_TYPE_SK_MSG : BPF_PROG_TYPE_SK_SKB, pass,
				ARRAY_SIZE(pass)),
	};

	assert_true(agent.map >= 0);
	assert_int_equal(bpf_prog_attach(agent.program, agent.map,
					 messages ? BPF_SK_MSG_VERDICT : BPF_SK_SKB_VERDICT, 0),
			 0);
	agent.enrol = load_enrol(agent.map);
	return agent;
}

static int open_cgroup(void)
{
	int fd = open(stage.cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

void agent_attach(const struct agent *agent)
{
	int cgroup = open_cgroup();

	assert_int_equal(
		bpf_prog_attach(agent->enrol, cgroup, BPF_CGROUP_SOCK_OPS, BPF_F_ALLOW_MULTI), 0);
	close(cgroup);
}

void agent_detach(const struct agent *agent)
{
	int cgroup = open_cgroup();

	bpf_prog_detach2(agent->enrol, cgroup, BPF_CGROUP_SOCK_OPS);
	close(cgroup);
}

void agent_close(const struct agent *agent)
{
	close(agent->enrol);
	close(agent->program);
	close(agent->map);
}
