# Simulations that are whole scripts, each run in an R of its own.

# A function that runs the script once and gives the text of its results file (or nothing).
script_runner <- function(job, process) {
  output <- if (nzchar(job$output)) job$output else file.path(job$root, "scratch", paste0("output-", process))
  beside <- setdiff(list.files(job$code, all.files = TRUE, no.. = TRUE), c("worker.R", "worker.py", "simferry_worker", "profile.R", "cluster.R", "private_mount.sh"))
  arguments <- job$conditions[grep("^argument_", names(job$conditions))]
  displaced <- Sys.getenv("R_PROFILE_USER", NA)
  function(row, r, state) {
    unlink(list.files(output, all.files = TRUE, full.names = TRUE, no.. = TRUE), recursive = TRUE)
    dir.create(output, recursive = TRUE, showWarnings = FALSE)
    links <- file.path(output, beside)
    file.symlink(file.path(normalizePath(job$code), beside), links)
    seeds <- seeds_of(r, job$seed_keys[row, ])
    given <- vapply(arguments, `[[`, "", row)
    given <- gsub("\ue001", r, gsub("\ue002", seeds[["SIMFERRY_SEED"]], given, fixed = TRUE), fixed = TRUE)
    given <- gsub("\ue003", job$conditions$condition[row], given, fixed = TRUE)
    settings <- c(SIMFERRY_OUTPUT = normalizePath(output), seeds, SIMFERRY_CORES = job$cores,
                  MC_CORES = job$cores, R_PROFILE_USER = file.path(normalizePath(job$code), "profile.R"),
                  SIMFERRY_STREAM = paste(state, collapse = ","))
    if (!is.na(displaced)) settings[["SIMFERRY_R_PROFILE_USER"]] <- displaced
    if (in_container(job))
      settings <- c(settings, SIMFERRY_HOSTS = paste(job$hosts, collapse = ","), SIMFERRY_TOKEN = job$run,
                    SIMFERRY_CLUSTER = file.path(normalizePath(job$code), "cluster.R"))
    command <- c(file.path(R.home("bin"), "Rscript"), file.path(normalizePath(job$code), job$script), given)
    if (nzchar(job$private_mount)) command <- c("sh", file.path(normalizePath(job$code), "private_mount.sh"), normalizePath(output), command)
    log <- file.path(job$root, "scratch", paste0("log-", process))
    old <- setwd(output)
    on.exit(setwd(old))
    status <- run_alone(command, settings, log, job$replication_timeout)
    setwd(old)
    said <- readLines(log, warn = FALSE)
    cat(said, sep = "\n")
    unlink(links)   # links first, so that only what the script wrote is kept
    text <- NULL
    results <- file.path(output, job$results_file)
    if (nzchar(job$results_file) && file.exists(results)) {
      text <- readChar(results, file.size(results), useBytes = TRUE)
      Encoding(text) <- if (validUTF8(text)) "UTF-8" else "latin1"
    }
    keep_output(job, output, job$conditions$condition[row], r)
    if (status == 124 && job$replication_timeout > 0) stop("timed out after ", ceiling(job$replication_timeout), " s", call. = FALSE)
    if (status != 0) stop("the script ended with status ", status, ": ", paste(utils::tail(said[nzchar(said)], 5L), collapse = "\n"), call. = FALSE)
    if (nzchar(job$results_file) && is.null(text)) stop("the script ended without writing ", job$results_file, " in its output folder", call. = FALSE)
    text
  }
}

keep_output <- function(job, output, id, r) {
  written <- list.files(output, all.files = TRUE, no.. = TRUE)
  if (!length(written)) return(invisible())
  folder <- file.path(job$root, "artifacts", id, r)
  unlink(folder, recursive = TRUE)
  dir.create(folder, recursive = TRUE, showWarnings = FALSE)
  for (name in written) {
    from <- file.path(output, name)
    # a mount point, or another disk: copy
    if (!suppressWarnings(file.rename(from, file.path(folder, name))) && !all(file.copy(from, folder, recursive = TRUE)))
      give_up(job, "disk: ", file.path(folder, name), " can't be written")
  }
}
