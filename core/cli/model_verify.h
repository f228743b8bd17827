/* SPDX-License-Identifier: Apache-2.0 */
/* napm model verify */
#ifndef NAPM_CLI_MODEL_VERIFY_H
#define NAPM_CLI_MODEL_VERIFY_H

int model_verify_main(int argc, char **argv);

#endif
