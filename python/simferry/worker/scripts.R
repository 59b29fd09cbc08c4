# Simulations that are whole scripts, each run in an R of its own.

# A function that runs the script once and gives the contents of its results files, raw vectors by name.
script_runner <- function(job, process) {
  output <- if (nzchar(job$output)) job$output else file.path(job$root, "scratch", paste0("output-", process))
  folder <- working_folder(job, output, own = FALSE)
  home <- normalizePath(file.path(folder$path, job$folder))   # where the script is started
  arguments <- job$conditions[grep("^argument_", names(job$conditions))]
  # where those that the script starts are counted
  processes <- file.path(job$root, "scratch", paste0("processes-", process))
  displaced <- Sys.getenv("R_PROFILE_USER", NA)
  function(row, r, state) {
    unlink(processes, recursive = TRUE, expand = FALSE)
    dir.create(processes)
    seeds <- seeds_of(r, job$seed_keys[row, ])
    given <- filled(job, vapply(arguments, `[[`, "", row), row, r)
    settings <- c(SIMFERRY_OUTPUT = home, seeds, SIMFERRY_CORES = job$cores,
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
    settings <- c(settings, variables_of(job, row, r))
    command <- c(file.path(R.home("bin"), "Rscript"), file.path(folder$path, job$script), given)
    if (nzchar(job$private_mount))
      command <- c("sh", file.path(normalizePath(job$code), "private_mount.sh"), folder$path, command)
    log <- file.path(job$root, "scratch", paste0("log-", process))
    old <- setwd(home)
    on.exit(setwd(old))
    status <- run_alone(command, settings, log, job$replication_timeout)
    setwd(old)
    note_reported(processes)
    printed <- readLines(log, warn = FALSE)
    cat(printed, sep = "\n")
    files <- wrote <- list()
    if (nzchar(job$results_file)) {
      pattern <- job$conditions$results_pattern[row]
      if (!is.null(pattern)) pattern <- filled(job, pattern, row, r)
      for (inside in unique(c(job$folder, ""))) if (!length(files))
        files <- read_results(folder, job$results_file, pattern, inside)
      if (!length(files)) wrote <- shown_files(folder, job$folder)
    }
    artifacts <- file.path(job$root, "artifacts", job$conditions$condition[row], r)
    unlink(artifacts, recursive = TRUE, force = TRUE, expand = FALSE)   # of an earlier attempt
    folder$tidy(artifacts)
    if (status == 124 && job$replication_timeout > 0)
      stop("timed out after ", ceiling(job$replication_timeout), " s", call. = FALSE)
    if (status != 0)
      stop("the script ended with status ", status, if (status > 128) paste0(" (signal ", status - 128, ")"), ": ",
           paste(last_words(printed[nzchar(printed)]), collapse = "
"), call. = FALSE)
    if (nzchar(job$results_file) && !length(files))
      stop("the script ended without writing ", job$results_file, " in its output folder", wrote, call. = FALSE)
    files
  }
}

# name: of the one file, or else the pattern of their names. inside: the folder that names are relative to.
read_results <- function(folder, name, pattern = NULL, inside = "") {
  names <- name
  begin <- if (nzchar(inside)) paste0(inside, "/") else ""
  if (!is.null(pattern)) {
    names <- all_written(folder)
    names <- substring(names[startsWith(names, begin)], nchar(begin) + 1L)
    names <- grep(paste0("^(?:", pattern, ")$"), names, value = TRUE, perl = TRUE)
  }
  whole <- paste0(begin, names)[seq_along(names)]
  paths <- file.path(folder$path, whole)
  found <- file.exists(paths) & !dir.exists(paths) & !vapply(whole, folder$as_made, NA)
  structure(lapply(paths[found], function(path) readBin(path, "raw", file.size(path))), names = names[found])
}

# The names of all new and changed files.
all_written <- function(folder) {
  names <- list.files(folder$path, all.files = TRUE, recursive = TRUE)
  sort(names[!vapply(names, folder$as_made, NA)], method = "radix")
}

# What the script has written instead of its results file, for an error.
shown_files <- function(folder, beside) {
  written <- unname(artifact_names(all_written(folder), beside))
  more <- if (length(written) > 5L) paste(" and", length(written) - 5L, "more")
  if (length(written)) paste0(". It wrote: ", paste(utils::head(written, 5L), collapse = ", "), more)
}

# A results file as replay shows it.
text_of <- function(content) {
  if (any(content == 0L)) return(paste0("(", length(content), " byte", if (length(content) != 1L) "s", ")"))
  text <- rawToChar(content)
  Encoding(text) <- if (validUTF8(text)) "UTF-8" else "latin1"
  text
}

# The last five lines that a script printed, and R's "Error in" and all that follows, if that is among the last twenty.
last_words <- function(lines) {
  lines <- utils::tail(lines, 20L)
  error <- grep("^(Error in |Error: )", lines, useBytes = TRUE)
  first <- min(if (length(error)) error[length(error)], max(1L, length(lines) - 4L))
  lines[seq_along(lines) >= first]
}
