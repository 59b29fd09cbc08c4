# What a process has computed and not written yet, and how it becomes a block.

# A list that grows at its end. Its functions assign with `<<-`, which R does in place.
new_records <- function() {
  kept <- list()
  list(all = function() kept,
       add = function(record) kept[[length(kept) + 1L]] <<- record,
       keep = function(wanted) kept <<- Filter(wanted, kept),
       drop = function(n) kept <<- kept[seq_len(length(kept) - n)],   # the last ones
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
       keep = function(wanted) {
         kept <<- Filter(wanted, kept)
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
  keep <- function(wanted) {
    records$keep(wanted)
    condition <<- 0L   # what is run again is noted again
  }
  c(records[c("all", "clear")], note = note, keep = keep)
}

# A second, but more if a block takes long to write, or the run would have more than 50,000 blocks.
is_block_due <- function(process, now) {
  if (process$bytes > 2^28) return(TRUE)
  job <- process$job
  seconds <- now - process$block_started
  if (seconds <= 1) return(FALSE)
  total <- (now - process$started) * job$workers * job$jobs / max(process$fraction, 1e-9)
  seconds > min(max(1, 5 * process$saving, total / 50000), as.numeric(job$longest_block))
}

# The whole replications of a stretch. Those of a batch share its seconds, and but the last one is ok.
part_of <- function(stretch) {
  if (length(kept <- stretch$kept) == 1L && !kept[[1L]]$failed) {   # as of all stretches of one replication
    one <- kept[[1L]]
    return(list(condition = rep(stretch$id, one$n), replication = stretch$first + seq_len(one$n) - 1L,
                ok = rep(TRUE, one$n), seconds = rep(one$seconds / one$n, one$n), values = list(one$values)))
  }
  each <- function(name) vapply(stretch$kept, `[[`, 0, name)
  n <- each("n")
  ok <- rep(TRUE, stretch$done)
  ok[cumsum(n)[vapply(stretch$kept, `[[`, NA, "failed")]] <- FALSE
  list(condition = rep(stretch$id, stretch$done), replication = stretch$first + seq_len(stretch$done) - 1L, ok = ok,
       seconds = rep(each("seconds") / n, n), values = lapply(stretch$kept, `[[`, "values"))
}

save_unsaved <- function(process) suspendInterrupts({
  began <- clock()
  job <- process$job
  settings <- worker_settings(process$settings)
  if (process$careful) unlink(process$marker)
  if (!is.null(process$stretch)) process$parts$add(part_of(process$stretch))
  parts <- process$parts$all()
  columns <- sapply(c("condition", "replication", "ok", "seconds", "values"), simplify = FALSE, function(name) {
    unlist(lapply(parts, `[[`, name), recursive = FALSE, use.names = FALSE)
  })
  if (length(columns$condition)) {
    # a run without a supervisor is taken up by another
    if (!runs(job$supervisor)) tools::pskill(Sys.getpid(), tools::SIGKILL)
    if (nzchar(name <- shared_changed(job$included))) give_up(job, "shared: ", name)
    process$sequence <- process$sequence + 1L
    tables <- unsaved_tables(process, columns)
    if (nzchar(code <- process$new_own_code())) process$facts[["own_code"]] <- code
    save_block(job, process$number, process$sequence, length(columns$ok), sum(!columns$ok), process$facts, tables)
  }
  for (name in c("parts", "failures", "warned", "outputs", "seeds", "objects")) process[[name]]$clear()
  process$dropped <- NULL
  if (process$bytes > 2^28) {
    rm(parts, columns)
    if (exists("tables", inherits = FALSE)) rm(tables)
    gc()   # before the next large value is made
  }
  process$bytes <- 0
  options(settings)
  process$block_started <- clock()
  process$saving <- process$block_started - began
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

# After an interrupt, which comes at any moment: what belongs to unfinished replications is left out.
save_what_is_whole <- function(process) suspendInterrupts({
  if (length(process$unchecked) && (process$state$changed() || process$folder$changed())) drop_unchecked(process)
  if (!is.null(stretch <- process$stretch)) {
    whole <- function(record) record$condition != stretch$id || record$replication < stretch$first + stretch$done
    for (name in c("failures", "warned", "outputs", "seeds", "objects")) process[[name]]$keep(whole)
  }
  save_unsaved(process)
})

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
    unlink(open)
    tryCatch(serialize(value, NULL), error = function(e) refuse_value(value, e))
    give_up(job, "disk: ", file.path(folder, "value.rds"), ": ", message_of(e))
  })
}

# number: of the process. done, failed: replications in it.
save_block <- function(job, number, sequence, done, failed, facts, tables) {
  name <- sprintf("%s-%s-%s-%02d.%06d-r%d-f%d", job$plan, job$job, job$attempt, number, sequence, done, failed)
  open <- file.path(job$root, "scratch", name)
  failed_to <- function(condition) {
    unlink(open)
    give_up(job, "disk: block ", name, ": ", conditionMessage(condition))
  }
  tryCatch({
    write_block(open, facts, tables)
    if (!file.rename(open, file.path(job$root, "blocks", name)))
      stop("could not be moved to ", file.path(job$root, "blocks"), call. = FALSE)
  }, error = failed_to, warning = failed_to)
}
