#' simferry: simulations many times with varied parameters
#'
#' A simulation is a function, a whole script or a program. [sim_run()] runs it `replications` times for every condition
#' of a design, on all cores, and [sim_results()] gives one table. The numbers depend on the seed, the condition and the
#' replication alone.
#'
#' Everything is computed by the Python package of the same name, which this package carries: [simferry_install()] sets
#' it up once, [simferry_doctor()] tells what is used. Python is not started before the first verb is called.
#'
#' @section Errors:
#' Every error is a condition of class `simferry_error`, and of a class that tells which: `simferry_error_design`,
#' `simferry_error_simulation`, `simferry_error_usage`, `simferry_error_run_not_found`, `simferry_error_run_busy`,
#' `simferry_error_store`, `simferry_error_worker`, `simferry_error_interrupted`, `simferry_error_python` (there is no
#' Python that can be used), and others that each function's page names. `condition$hint` says what to do.
#'
#' @section Options:
#' * `simferry.max_mb`: the largest object that is sent along with a function, in MB; 500 unless told otherwise, 2000 at
#' most.
#'
#' @section Environment variables:
#' * `SIMFERRY_STORE`: where runs live, unless `store` says so; `./simferry-runs` without it.
#' * `SIMFERRY_PYTHON`: the Python to use, before `RETICULATE_PYTHON` and the environment of [simferry_install()].
#'
#' @keywords internal
"_PACKAGE"
