# Simulations that are whole scripts, each run in an R of its own.

# A function that runs the script once and gives the text of its results file (or nothing).
script_runner <- function(job, process) {
  output <- if (nzchar(job$output)) job$output else file.path(job$root, "scratch", paste0("output-", process))
  folder <- working_folder(job, output, own = FALSE)
  arguments <- job$conditions[grep("^argument_", names(job$conditions))]
  # where those that the script starts are counted
  processes <- file.path(job$root, "scratch", paste0("processes-", process))
  displaced <- Sys.getenv("R_PROFILE_USER", NA)
  function(row, r, state) {
    unlink(processes, recursive = TRUE)
    dir.create(processes)
    seeds <- seeds_of(r, job$seed_keys[row, ])
    given <- vapply(arguments, `[[`, "", row)
    given <- gsub("\ue001", r, gsub("\ue002", seeds[["SIMFERRY_SEED"]], given, fixed = TRUE), fixed = TRUE)
    given <- gsub("\ue003", job$conditions$condition[row], given, fixed = TRUE)
    settings <- c(SIMFERRY_OUTPUT = folder$path, seeds, SIMFERRY_CORES = job$cores,
                  MC_CORES = job$cores, R_PROFILE_USER = file.path(normalizePath(job$code), "profile.R"),
                  SIMFERRY_STREAM = paste(state, collapse = ","), SIMFERRY_PROCESSES = processes,
                  SIMFERRY_PARENT = seeds[["SIMFERRY_SEED_HEX"]])
    settings[["PYTHONPATH"]] <- paste(c(file.path(normalizePath(job$code), "simferry_worker", "startup"),
                                        if (nzchar(Sys.getenv("PYTHONPATH")))
                                          Sys.getenv("PYTHONPATH")), collapse = .Platform$path.sep)
    if (!is.na(displaced)) settings[["SIMFERRY_R_PROFILE_USER"]] <- displaced
    if (in_container(job))
      settings <- c(settings, SIMFERRY_HOSTS = paste(job$hosts, collapse = ","), SIMFERRY_TOKEN = job$run,
                    SIMFERRY_CLUSTER = file.path(normalizePath(job$code), "cluster.R"))
    command <- c(file.path(R.home("bin"), "Rscript"), file.path(folder$path, job$script), given)
    if (nzchar(job$private_mount))
      command <- c("sh", file.path(normalizePath(job$code), "private_mount.sh"), folder$path, command)
    log <- file.path(job$root, "scratch", paste0("log-", process))
    old <- setwd(output)
    on.exit(setwd(old))
    status <- run_alone(command, settings, log, job$replication_timeout)
    setwd(old)
    note_reported(processes)
    printed <- readLines(log, warn = FALSE)
    cat(printed, sep = "\n")
    text <- NULL
    results <- file.path(output, job$results_file)
    if (nzchar(job$results_file) && file.exists(results) && !folder$as_made(job$results_file)) {
      text <- readChar(results, file.size(results), useBytes = TRUE)
      Encoding(text) <- if (validUTF8(text)) "UTF-8" else "latin1"
    }
    artifacts <- file.path(job$root, "artifacts", job$conditions$condition[row], r)
    unlink(artifacts, recursive = TRUE, force = TRUE)   # of an earlier attempt
    folder$tidy(artifacts)
    if (status == 124 && job$replication_timeout > 0)
      stop("timed out after ", ceiling(job$replication_timeout), " s", call. = FALSE)
    if (status != 0)
      stop("the script ended with status ", status, ": ",
           paste(utils::tail(printed[nzchar(printed)], 5L), collapse = "\n"), call. = FALSE)
    if (nzchar(job$results_file) && is.null(text))
      stop("the script ended without writing ", job$results_file, " in its output folder", call. = FALSE)
    text
  }
}
