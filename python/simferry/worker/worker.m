function worker(input, output)
% Runs replications for octave.py, in Octave 7 or later and in MATLAB R2018b or later.
%
% input: a pipe with two doubles per request: the first replication and how many; or minus the length of a text, and zero, before that
% text, which is evaluated. output: a pipe with two doubles per answer, what it is and a length, and then as many doubles or bytes:
%   1 a number   2 numbers with the names sent last                                      (doubles)
%   0 the end of an answer; in place of a length, which generators were drawn from without being seeded for each replication: 1 rand,
%     2 randn, 4 rande, 8 randg, 16 randp, added up
%   10 names, a line each   11 any value, see encoded_()   12 an error   13 the reply of a text   (bytes)
in = fopen(input, 'r');
out = fopen(output, 'w');
is_octave = exist('OCTAVE_VERSION', 'builtin') ~= 0;
names_of = @fieldnames;
if is_octave
  more('off');
  names_of = @__fieldnames__; % of one struct; fieldnames() takes a tenth of a millisecond
end
target = [];       % the function
given = {};        % its arguments in this condition
outputs = {};      % the names of its outputs, if there are several
outs = 1;          % how many there are
key = zeros(1, 4); % of the condition, each below 2^32
used = false(1, 5); % which of Octave's generators are seeded before each replication
has_old = false;   % whether those of before 1997 too, which rand('seed', x) switches to
stream = [];       % of MATLAB
names = {};        % sent last
start = [];        % the state that replications are to leave as it was
base = {};         % the generators, where none was drawn from since
value = [];        % of the last replication, for a replay
reply = '';
send_(out, 13, ''); % it is ready
fflush_(out, is_octave);
while true
  request = fread(in, 2, 'double');
  if numel(request) < 2
    return % the worker has ended
  end
  if request(1) < 0
    text = char(fread(in, -request(1), 'uint8=>uint8')');
    reply = '';
    try
      eval(text);
      send_(out, 13, reply);
    catch problem
      send_(out, 12, described_(problem));
    end
    fflush_(out, is_octave);
    continue
  end
  for replication = request(1):request(1) + request(2) - 1
    if is_octave
      if has_old, seed_old_([key, replication, 6]); end
      if used(1), rand('twister', [key, replication, 1]); end
      if used(2), randn('twister', [key, replication, 2]); end
      if used(3), rande('twister', [key, replication, 3]); end
      if used(4), randg('twister', [key, replication, 4]); end
      if used(5), randp('twister', [key, replication, 5]); end
    else
      stream.Substream = replication;
    end
    try
      if outs == 1
        value = target(given{:});
        if isa(value, 'double') && numel(value) == 1 && isreal(value) && ~issparse(value)
          fwrite(out, [1, 1, value], 'double');
        elseif isstruct(value) && numel(value) == 1
          cells = struct2cell(value);
          if are_numbers_(cells)
            now_named = names_of(value);
            if numel(now_named) ~= numel(names) || ~all(strcmp(now_named, names))
              names = now_named;
              send_(out, 10, lines_(names));
            end
            fwrite(out, [2, numel(cells), cells{:}], 'double');
          else
            send_(out, 11, encoded_(value));
          end
        else
          send_(out, 11, encoded_(value));
        end
      elseif outs == 0
        target(given{:});
        value = [];
        send_(out, 11, encoded_(value));
      else
        cells = cell(1, outs);
        [cells{:}] = target(given{:});
        value = cell2struct(cells, outputs, 2);
        if are_numbers_(cells)
          if numel(outputs) ~= numel(names) || ~all(strcmp(outputs(:), names(:)))
            names = outputs(:);
            send_(out, 10, lines_(names));
          end
          fwrite(out, [2, outs, cells{:}], 'double');
        else
          send_(out, 11, encoded_(value));
        end
      end
    catch problem
      send_(out, 12, described_(problem));
      break
    end
    if ~isempty(lastwarn()) % so that it is known whose it is
      if ~is_octave
        fprintf(2, 'warning: %s\n', lastwarn());
      end
      lastwarn('');
      break
    end
  end
  fwrite(out, [0, drawn_unseeded_(base, used)], 'double');
  fflush_(out, is_octave);
end
end

function fflush_(out, is_octave)
% MATLAB has no fflush: its fwrite writes at once.
if is_octave
  fflush(stdout);
  fflush(out);
end
end

function yes = are_numbers_(cells)
% Whether each cell holds one real double.
yes = ~isempty(cells) && all(cellfun('isclass', cells, 'double')) && all(cellfun('prodofsize', cells) == 1) ...
  && all(cellfun('isreal', cells)) && ~any(cellfun(@issparse, cells));
end

function send_(out, kind, text)
bytes = uint8(text);
if ischar(text) && ~exist('OCTAVE_VERSION', 'builtin')
  bytes = unicode2native(text, 'UTF-8');
end
fwrite(out, [kind, numel(bytes)], 'double');
fwrite(out, bytes, 'uint8');
end

function text = lines_(texts)
text = sprintf('%s\n', texts{:});
end

function text = described_(problem)
% The message of an error, its identifier, and a line for each function on its way: name, line, file.
text = [problem.message, char(0), problem.identifier, char(0)];
for i = 1:numel(problem.stack)
  one = problem.stack(i);
  text = [text, sprintf('%s\t%d\t%s\n', one.name, one.line, one.file)]; %#ok<AGROW>
end
end

function bytes = encoded_(value)
% A value as bytes: its kind, how many dimensions, these as doubles, and its content.
if isobject(value) && isa(value, 'table') % of MATLAB
  value = table2struct(value, 'ToScalar', true);
elseif isa(value, 'string')
  if numel(value) == 1
    value = char(value);
  else
    value = cellstr(value);
  end
elseif isa(value, 'containers.Map') && strcmp(value.KeyType, 'char')
  value = cell2struct(values(value), keys(value), 2);
end
if issparse(value)
  value = full(value);
end
if isnumeric(value) && ~isreal(value)
  kind = 'complex';
elseif isnumeric(value) || islogical(value) || ischar(value) || iscell(value) || isstruct(value)
  kind = class(value);
else
  kind = ['other ', class(value)];
end
bytes = [tagged_(kind), typecast([ndims(value), size(value)], 'uint8')];
if strcmp(kind, 'complex') || strncmp(kind, 'other', 5)
  bytes = tagged_(kind);
elseif isnumeric(value)
  if ~isempty(value)
    bytes = [bytes, typecast(reshape(value, 1, []), 'uint8')];
  end
elseif islogical(value)
  bytes = [bytes, uint8(reshape(value, 1, []))];
elseif ischar(value)
  rows = cell(1, size(value, 1));
  for i = 1:numel(rows)
    rows{i} = tagged_(value(i, :));
  end
  bytes = [bytes, rows{:}];
elseif iscell(value)
  parts = cell(1, numel(value));
  for i = 1:numel(parts)
    parts{i} = encoded_(value{i});
  end
  bytes = [bytes, parts{:}];
else
  fields = fieldnames(value);
  cells = struct2cell(value);
  parts = cell(1, numel(cells));
  for i = 1:numel(parts)
    parts{i} = encoded_(cells{i});
  end
  named = cellfun(@tagged_, reshape(fields, 1, []), 'UniformOutput', false);
  bytes = [bytes, typecast(numel(fields), 'uint8'), named{:}, parts{:}];
end
end

function bytes = tagged_(text)
% A text in UTF-8 after its length.
bytes = uint8(text);
if ~exist('OCTAVE_VERSION', 'builtin')
  bytes = unicode2native(text, 'UTF-8');
end
bytes = [typecast(numel(bytes), 'uint8'), reshape(bytes, 1, [])];
end

function text = text_of_(bytes)
% A text from its bytes in UTF-8.
if exist('OCTAVE_VERSION', 'builtin')
  text = char(bytes);
else
  text = native2unicode(uint8(bytes), 'UTF-8');
end
end

function now = state_now_(has_environment)
% What replications may leave behind: the current folder, the path, which warnings are on, settings, and the environment, if they may set it.
now = struct('pwd', pwd(), 'path', path(), 'warning', warning(), 'environment', {{}});
if exist('OCTAVE_VERSION', 'builtin')
  now.umask = umask(0);
  umask(now.umask);
  [now.format, now.spacing] = format();
  now.digits = output_precision();
  now.depth = max_recursion_depth();
end
if has_environment
  [~, text] = system('env -0');
  texts = strsplit(text, char(0));
  now.environment = texts(cellfun('isempty', regexp(texts, '^(_|SHLVL|PWD|OLDPWD)=|^$'))); % without what the shell sets
end
end

function put_back_(start)
now = state_now_(~isempty(start.environment));
cd(start.pwd);
path(start.path);
warning(start.warning);
if isfield(start, 'umask')
  umask(start.umask);
  format(start.format);
  format(start.spacing);
  output_precision(start.digits);
  max_recursion_depth(start.depth);
end
for text = setdiff(now.environment, start.environment)
  unsetenv(strtok(text{1}, '='));
end
for text = setdiff(start.environment, now.environment)
  [name, rest] = strtok(text{1}, '=');
  setenv(name, rest(2:end));
end
end

function which = drawn_unseeded_(base, used)
which = 0;
if ~isempty(base) && ~all(used)
  now_drawn = generators_();
  for i = 1:numel(now_drawn)
    if ~used(i) && any(now_drawn{i} ~= base{i})
      which = which + 2^(i - 1);
    end
  end
end
end

function states = generators_()
% The states of Octave's five generators; none in MATLAB, which has one stream for all.
states = {};
if exist('OCTAVE_VERSION', 'builtin')
  states = {rand('twister'), randn('twister'), rande('twister'), randg('twister'), randp('twister')};
end
end

function seed_all_(key, replication)
% Seed all of Octave's generators.
rand('twister', [key, replication, 1]);
randn('twister', [key, replication, 2]);
rande('twister', [key, replication, 3]);
randg('twister', [key, replication, 4]);
randp('twister', [key, replication, 5]);
end

function seed_old_(key)
% Seed Octave's generators of before 1997, each of the five has one. rand('twister', ...) then switches back.
rand('twister', key);
seeds = floor(2^31 * rand(1, 5));
rand('seed', seeds(1));
randn('seed', seeds(2));
rande('seed', seeds(3));
randg('seed', seeds(4));
randp('seed', seeds(5));
end

function text = loaded_packages_()
% Octave's packages that are loaded, with their versions.
text = '';
packages = pkg('list');
for i = 1:numel(packages)
  if packages{i}.loaded
    text = [text, ', ', packages{i}.name, ' ', packages{i}.version]; %#ok<AGROW>
  end
end
text = text(3:end);
end

function text = absent_(names)
% Those of the functions that are not here.
text = '';
for i = 1:numel(names)
  if ~exist(names{i})
    text = [text, names{i}, ' ']; %#ok<AGROW>
  end
end
end
