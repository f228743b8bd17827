/* SPDX-License-Identifier: Apache-2.0 */
/* One agent's life: greets the controller, does what it says, and ends when the control connection ends. */
#ifndef NAPM_AGENT_SESSION_H
#define NAPM_AGENT_SESSION_H

/* Runs on the calling (main) thread until the controller says stop or is gone. Returns the process's exit code. */
int session_run(int control_read_fd, int control_write_fd);

#endif
