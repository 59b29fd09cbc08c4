# The job: what is to be run, where, what the numbers may depend on besides the code, and why the job can't go on.

read_job <- function(root) {
  block <- read_block(file.path(root, "input", "plan", "job"))
  job <- block$facts
  job$root <- root
  job$code <- file.path(root, "input", "code")
  job$attempt <- Sys.getenv("SIMFERRY_ATTEMPT", job$attempt)   # the carrier's, where a service tries again
  job$supervisor <- Sys.getpid()
  job$loop <- FALSE
  job$ranks <- c(suppressWarnings(as.integer(job$ranks)), NA)[1L]   # of a script: processes with MPI, and
  job$each_host <- c(suppressWarnings(as.integer(job$each_host)), NA)[1L]   # hosts that each run it
  job$on_hosts <- c(job$ranks[!is.na(job$ranks)], job$each_host[!is.na(job$each_host)])
  for (number in c("workers", "cores", "jobs", "replication_timeout")) job[[number]] <- as.numeric(job[[number]])
  job$stretches <- block$tables$stretches
  job$conditions <- block$tables$conditions
  job$parameters <- with_lists(block$tables$parameters, block$tables$forms)
  job$row <- match(job$stretches$condition, job$conditions$condition)
  job$seed_keys <- do.call(cbind, job$conditions[grep("^seed_key_", names(job$conditions))])
  job$variables <- job$conditions[grep("^env_", names(job$conditions))]
  names(job$variables) <- sub("^env_", "", names(job$variables))
  job$states <- unname(cbind(rep(10407L, length(job$row)), do.call(cbind, job$stretches[paste0("state_", 1:6)])))
  job$metrics <- block$tables$metrics
  shared <- block$tables$variables   # are there before the simulation is loaded
  set_variables(stats::setNames(shared$value, shared$name))
  job
}

# Parameters that are vectors: forms names them, and says of which kind they are.
with_lists <- function(parameters, forms) {
  for (i in seq_along(forms$form)) {
    kind <- sub("^.* ", "", forms$form[i])
    name <- forms$column[i]
    parameters[[name]] <- lapply(parameters[[name]], function(cell) if (!is.null(cell)) list_of_bytes(cell, kind))
  }
  parameters
}

# Works in the script's folder of the snapshot, where source("helpers.R") finds what came along.
enter_code <- function(job) {
  empty_folders(job$code)
  setwd(file.path(job$code, job$folder))
}

# Texts of a condition, with its number, the number of the replication, and its seed in place of their marks.
filled <- function(job, texts, row, r) {
  if (any(grepl("\ue002", texts, fixed = TRUE)))
    texts <- gsub("\ue002", seeds_of(r, job$seed_keys[row, ])[["SIMFERRY_SEED"]], texts, fixed = TRUE)
  gsub("\ue001", r, gsub("\ue003", job$conditions$condition[row], texts, fixed = TRUE), fixed = TRUE)
}

# The environment variables of a replication.
variables_of <- function(job, row, r) {
  texts <- vapply(job$variables, `[[`, "", row)
  stats::setNames(filled(job, texts, row, r), names(texts))
}

is_function <- function(job) job$kind == "function"

# The hosts of the job, the leader first, and which of them this one is; /opt/ml/config/resourceconfig.json says so.
hosts_of <- function(job) {
  path <- "/opt/ml/config/resourceconfig.json"
  if (!in_container(job) || !file.exists(path)) return(list(all = "localhost", current = "localhost"))
  text <- paste(readLines(path, warn = FALSE), collapse = "")
  names_in <- function(x) regmatches(x, gregexpr("algo-[0-9]+", x))[[1L]]
  all <- names_in(sub('.*"hosts": *\\[([^]]*)\\].*', "\\1", text))
  list(all = all, current = names_in(sub('.*"current_host": *("[^"]*").*', "\\1", text)))
}

facts_here <- function() {
  cpu <- tryCatch(grep("^model name", readLines("/proc/cpuinfo", n = 30L), value = TRUE)[1], error = function(e) NA,
                  warning = function(w) NA)
  packages <- sort(setdiff(loadedNamespaces(),
                           c("base", "compiler", "parallel", "stats", "graphics", "grDevices", "utils", "datasets",
                             "methods")))
  c(interpreter = paste("R", getRversion()),
    packages = paste(sprintf("%s %s", packages, vapply(packages, function(p) as.character(getNamespaceVersion(p)), "")),
                     collapse = ", "),
    blas = basename(extSoftVersion()[["BLAS"]]), cpu = if (is.na(cpu)) R.version$arch else sub("^[^:]*: *", "", cpu))
}

in_container <- function(job) job$root == "/opt/ml/processing"

stopping <- function(job) file.exists(file.path(job$root, "scratch", "stop"))

# Ends the whole job, from the supervisor or from one of its processes.
give_up <- function(job, ...) {
  # in a container under SageMaker's contract, the second file becomes the job's ExitMessage
  for (folder in c(job$root, if (in_container(job) && dir.exists("/opt/ml/output")) "/opt/ml/output")) {
    # whole or not at all: as soon as there is one, the supervisor ends all processes
    part <- file.path(folder, paste0("message-", Sys.getpid(), "~"))
    cat(paste0(...), file = part)
    file.rename(part, file.path(folder, "message"))
  }
  if (Sys.getpid() != job$supervisor) tools::pskill(Sys.getpid(), tools::SIGKILL)
  quit("no", status = 1)
}
