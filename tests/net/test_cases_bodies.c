// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The contract's cases, one by one, through a real gate: bodies, and what several requests on one
 * connection come to. See test_cases_heads.c.
 *
 *	test_cases_bodies [ROW [PROMISE]]
 */
#include "cases_run.h"

#include "cases_chunked.h"
#include "cases_connections.h"
#include "cases_framing.h"
#include "harness.h"

static const struct table tables[] = {
	{ "framing", cases_framing, ARRAY_SIZE(cases_framing), FRAMING },
	{ "chunked bodies", cases_chunked, ARRAY_SIZE(cases_chunked), CHUNKED_BODIES },
	{ "connections", cases_connections, ARRAY_SIZE(cases_connections), CONNECTIONS },
};

int main(int argc, char **argv)
{
	return run_tables(tables, ARRAY_SIZE(tables), argc, argv);
}
