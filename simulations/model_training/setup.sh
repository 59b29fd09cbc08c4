# Runs once in each container, before the first replication: installs what the image lacks. What is there already is not downloaded.
python3 -m pip install --quiet --requirement requirements.txt
