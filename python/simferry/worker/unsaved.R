# What a process has computed and not written yet, and how it becomes a block.

# A list that grows at its end. Its functions assign with `<<-`, which R does in place.
new_records <- function() {
  kept <- list()
  list(all = function() kept,
       add = function(record) kept[[length(kept) + 1L]] <<- record,
       size = function() length(kept),
       rewind = function(size) kept <<- kept[seq_len(size)],
       keep = function(wanted, from) kept <<- c(kept[seq_len(from)], Filter(wanted, kept[seq_along(kept) > from])),
       clear = function() kept <<- list())
}

# Warnings, counted for each replication. A million different ones of a replication would take a gigabyte: after a
# thousand the others are counted together.
new_counts <- function() {
  kept <- list()
  last <- integer()       # condition and replication of the last one
  texts <- character()    # of this replication: the last ones that are kept
  most <- 1000L
  list(all = function() kept,
       count = function(record) {
         if (!identical(last, who <- c(record$condition, record$replication))) {
           last <<- who
           texts <<- character()
         }
         at <- match(record$message, texts, nomatch = 0L)
         if (!at && length(texts) >= most) {
           record$message <- paste("other warnings, after", format(most, big.mark = ","), "different ones")
           at <- match(record$message, texts, nomatch = 0L)
         }
         if (!at) {
           texts[length(texts) + 1L] <<- record$message
           kept[[length(kept) + 1L]] <<- c(record, count = 1L)
         } else {
           i <- length(kept) - length(texts) + at
           kept[[i]]$count <<- kept[[i]]$count + 1L
         }
       },
       size = function() length(kept),
       rewind = function(size) {
         kept <<- kept[seq_len(size)]
         last <<- integer()
       },
       keep = function(wanted, from) {
         kept <<- c(kept[seq_len(from)], Filter(wanted, kept[seq_along(kept) > from]))
         last <<- integer()
       },
       clear = function() {
         kept <<- list()
         last <<- integer()
       })
}

# The seeds that replications set themselves, of one condition at a time: the first in this process, and the first that
# came twice, with who set them.
new_seeds <- function() {
  records <- new_records()
  condition <- 0L
  known <- NULL   # by seed: the first replication that set it
  repeated <- FALSE
  note <- function(id, r, seed) {
    if (condition != id) {
      condition <<- id
      known <<- new.env()
      repeated <<- FALSE
    }
    seed <- paste(format(seed, digits = 15L), collapse = " ")
    before <- known[[seed]]
    if (is.null(before) && length(known) < 1e4) known[[seed]] <<- r
    add <- function(r) records$add(list(condition = id, replication = r, seed = seed))
    if (length(known) == 1L && is.null(before)) add(r)
    else if (!repeated && !is.null(before) && before != r) {
      repeated <<- TRUE
      add(before)
      add(r)
    }
  }
  rewind <- function(size) {
    records$rewind(size)
    condition <<- 0L   # what is run again is noted again
  }
  c(records[c("all", "clear", "size", "keep")], note = note, rewind = rewind)
}

# A second, but more if the first block took long to write, or the run would have more than 50,000 blocks.
is_block_due <- function(process, now) {
  if (process$bytes > 2^28) return(TRUE)
  job <- process$job
  seconds <- now - process$block_started
  if (seconds <= 1) return(FALSE)
  total <- (now - process$started) * job$workers * job$jobs / max(process$fraction, 1e-9)
  seconds > min(max(1, min(5, 5 * process$saving), total / 50000), as.numeric(job$longest_block))
}

# What was kept of batches, by replication. Those of a part share its seconds.
columns_of <- function(batches) {
  each <- function(name) unlist(lapply(batches, `[[`, name), use.names = FALSE)
  size <- each("size")
  to <- cumsum(size)
  ok <- rep(TRUE, sum(size))
  ok[to[each("failed")]] <- FALSE
  list(condition = rep(each("id"), size), replication = rep(each("first") - to + size, size) + seq_along(ok) - 1L,
       ok = ok, seconds = rep(each("seconds") / size, size), values = lapply(batches, `[[`, "values"))
}

save_unsaved <- function(process) suspendInterrupts({
  began <- clock()
  job <- process$job
  settings <- worker_settings(process$settings)
  if (process$careful) unlink(process$marker, expand = FALSE)
  batches <- process$batches$all()
  if (length(batches)) {
    columns <- columns_of(batches)
    # a run without a supervisor is taken up by another
    if (!runs(job$supervisor)) tools::pskill(Sys.getpid(), tools::SIGKILL)
    if (nzchar(name <- shared_changed(job$included))) give_up(job, "shared: ", name)
    process$sequence <- process$sequence + 1L
    tables <- unsaved_tables(process, columns)
    if (nzchar(code <- process$new_own_code())) process$facts[["own_code"]] <- code
    save_block(job, process$number, process$sequence, length(columns$ok), sum(!columns$ok), process$facts, tables)
  }
  for (name in c("batches", "failures", "warned", "outputs", "seeds", "objects")) process[[name]]$clear()
  process$dropped <- NULL
  if (process$bytes > 2^28) {
    rm(batches)
    if (exists("tables", inherits = FALSE)) rm(columns, tables)
    gc()   # before the next large value is made
  }
  process$bytes <- 0
  process$marks <- marks_of(process)
  options(settings)
  process$block_started <- clock()
  # later ones do not count: what takes long because there is much to write takes longer in a larger block
  if (process$sequence <= 1L) process$saving <- process$block_started - began
})

unsaved_tables <- function(process, columns) {
  job <- process$job
  which <- columns[c("condition", "replication")]
  tables <- list(list(name = "replications", columns = columns[c("condition", "replication", "ok", "seconds")]))
  # before the others: it is looked for in a block's first bytes
  if (length(process$dropped)) tables <- c(tables, list(list(name = "dropped", columns = process$dropped)))
  if (job$loop) tables <- c(tables, loop_tables(which, unlist(lapply(columns$values, unpacked), recursive = FALSE)))
  else if (any(columns$ok) && is_function(job))
    tables <- c(tables, result_tables(which$condition[columns$ok], which$replication[columns$ok], columns$values))
  kept <- list(failures = process$failures$all(), warnings = process$warned$all(), outputs = process$outputs$all(),
               seeds = process$seeds$all(), objects = process$objects$all())
  for (name in names(kept)) if (length(kept[[name]]))
    tables <- c(tables, list(list(name = name, columns = do.call(Map, c(list(c), kept[[name]])))))
  tables
}

# The values of iterations: `values` has a row of bytes for each, and the plain vectors are together in the one row of
# `packs`, a list in the order of `packed`: what many short iterations return is written and read in a moment.
loop_tables <- function(which, values) {
  at <- split(seq_along(values), factor(vapply(values, is.raw, NA), c(TRUE, FALSE)))
  of <- function(i) lapply(which, `[`, i)
  pack <- list(serialize(values[at[["FALSE"]]], NULL, xdr = FALSE))
  c(if (length(one <- at[["TRUE"]])) list(list(name = "values", columns = c(of(one), list(value = values[one])))),
    if (length(plain <- at[["FALSE"]])) list(list(name = "packed", columns = of(plain)),
                                             list(name = "packs", columns = c(of(plain[1L]), list(value = pack)))))
}

# After an interrupt, which comes at any moment.
save_what_is_whole <- function(process) suspendInterrupts({
  if (is.null(process$batch) || !keep_ended(process)) drop_batch(process)
  save_unsaved(process)
})

# Keeps of an unfinished batch the parts that had ended before the job was stopped: later values may lack the programs
# that it ended. FALSE where there are none, or these replications may have met what others left.
keep_ended <- function(process) {
  batch <- process$batch
  stopped <- as.numeric(file.mtime(file.path(process$job$root, "scratch", "stop")))
  batch$parts <- Filter(function(part) isTRUE(part[4L] < stopped), batch$parts)
  if (!length(batch$parts) || is.null(process$folder) || process$state$changed() || process$folder$changed())
    return(FALSE)
  parts <- matrix(unlist(batch$parts), 4L)
  batch$done <- as.integer(sum(parts[3L, ]))
  is_in <- function(record) any(parts[1L, ] == record$condition & parts[2L, ] <= record$replication &
                                  record$replication < parts[2L, ] + parts[3L, ])
  for (name in names(process$marks)) process[[name]]$keep(is_in, process$marks[[name]])
  keep_batch(process, NULL, NULL)
  TRUE
}

# What is kept of a value until the block is written: of a loop a plain vector, or the bytes that its session gets; of
# others doubles or rows. They are made now: no code of the simulation runs when a block is written. An object that is
# no table is kept as a file.
kept_value <- function(process, id, r, value) {
  if (process$job$loop) {
    if (is_plain(value) && !is.raw(value) && !is.object(value) && length(value) <= 1000L &&
          all(names(attributes(value)) == "names")) return(value)
    value <- serialize(value, NULL, xdr = FALSE)
    process$bytes <- process$bytes + length(value)
    return(value)
  }
  if (is.null(value)) return(NULL)
  if (is.double(value) && !is.array(value) && !is.object(value)) {
    refuse_outputs(length(value))
    process$bytes <- process$bytes + 8 * length(value)
    return(value)
  }
  rows <- rows_of(value)
  odd <- attr(rows, "odd")
  if (identical(rows, "object")) {
    odd <- structure(class(value)[1L], names = "")
    rows <- NULL
  }
  if (length(odd)) {
    save_object(process, id, r, value)
    attr(rows, "odd") <- NULL
    for (i in seq_along(odd))
      process$objects$add(list(condition = id, replication = r, output = names(odd)[i], kind = odd[[i]]))
  }
  process$bytes <- process$bytes + 8 * sum(lengths(rows))
  rows
}

save_object <- function(process, id, r, value) {
  job <- process$job
  if (nzchar(job$keep_files) && file.exists(file.path(process$folder$path, job$folder, "value.rds")))
    refuse("the simulation returned ", an(class(value)[1L]),
           ", which is kept as value.rds, and wrote a file of that name: give the file another name")
  folder <- file.path(job$root, "artifacts", id, r)
  dir.create(folder, recursive = TRUE, showWarnings = FALSE)
  open <- file.path(job$root, "scratch", paste0("object-", Sys.getpid()))
  keep <- function() {
    saveRDS(value, open)
    if (!file.rename(open, file.path(folder, "value.rds"))) stop("it can't be written", call. = FALSE)
  }
  tryCatch(keep(), error = function(e) {
    unlink(open, expand = FALSE)
    tryCatch(serialize(value, NULL), error = function(e) refuse_value(value, e))
    give_up(job, "disk: ", file.path(folder, "value.rds"), ": ", message_of(e))
  })
}

# number: of the process. done, failed: replications in it.
save_block <- function(job, number, sequence, done, failed, facts, tables) {
  name <- sprintf("%s-%s-%s-%02d.%06d-r%d-f%d", job$plan, job$job, job$attempt, number, sequence, done, failed)
  open <- file.path(job$root, "scratch", name)
  failed_to <- function(condition) {
    unlink(open, expand = FALSE)
    give_up(job, "disk: block ", name, ": ", conditionMessage(condition))
  }
  tryCatch({
    write_block(open, facts, tables)
    if (!file.rename(open, file.path(job$root, "blocks", name)))
      stop("could not be moved to ", file.path(job$root, "blocks"), call. = FALSE)
  }, error = failed_to, warning = failed_to)
}
