/* Everything starts here, once all scripts are read. */
startTheme();
startCopying();
startPictures();
startTables();
startHints();
startHeatMaps();
startDesk();
