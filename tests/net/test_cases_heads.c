// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The contract's cases, one by one, through a real gate: heads. Whatever a client sends, and however
 * it is cut into segments, comes to what the table says, and the application executes what was
 * counted.
 *
 *	test_cases_heads [ROW [PROMISE]]
 */
#include "cases_run.h"

#include "cases_authorization.h"
#include "cases_lines.h"
#include "cases_request_line.h"
#include "harness.h"

static const struct table tables[] = {
	{ "lines and fields", cases_lines, ARRAY_SIZE(cases_lines), LINES },
	{ "the request line", cases_request_line, ARRAY_SIZE(cases_request_line), REQUEST_LINE },
	{ "authorization", cases_authorization, ARRAY_SIZE(cases_authorization), AUTHORIZATION },
};

int main(int argc, char **argv)
{
	return run_tables(tables, ARRAY_SIZE(tables), argc, argv);
}
