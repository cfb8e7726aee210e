use super::*;

/// A server that answers each piece with as many bytes.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 64];
                while let Ok(count @ 1..) = client.read(&mut buffer).await {
                    client.write_all(&buffer[..count]).await.expect("written");
                }
            });
        }
    });
    address
}

async fn ask(port: u16) -> std::io::Result<usize> {
    let mut client = TcpStream::connect(("127.0.0.1", port)).await?;
    client.write_all(b"ciao").await?;
    client.read(&mut [0; 64]).await
}

#[tokio::test]
async fn a_cable_that_refuses_listens_again_on_its_port() {
    let cable = Proxy::to(echo().await).expect("a cable");
    let mut standing = TcpStream::connect(("127.0.0.1", cable.port())).await.expect("connected");
    standing.write_all(b"ciao").await.expect("written");
    assert_eq!(standing.read(&mut [0; 64]).await.expect("an answer"), 4);
    for _ in 0..3 {
        cable.set(Cable::Refuse);
        assert_eq!(standing.read(&mut [0; 64]).await.expect("an end"), 0, "what stands ends");
        let refused = async {
            // The cable does not say when it has done so.
            while ask(cable.port()).await.map_err(|error| error.kind())
                != Err(std::io::ErrorKind::ConnectionRefused)
            {
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), refused).await.expect("refused");
        cable.mend();
        let answered = async {
            while ask(cable.port()).await.ok() != Some(4) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), answered).await.expect("it listens again");
    }
}

#[tokio::test]
async fn answers_that_are_cut_are_counted() {
    let cable = Proxy::to(echo().await).expect("a cable");
    assert_eq!(ask(cable.port()).await.expect("an answer"), 4);
    assert_eq!(cable.cut_answers(), 0);
    cable.set(Cable::EndAnswerAfter(0, End::Fin));
    assert_eq!(ask(cable.port()).await.expect("an end"), 0);
    assert_eq!(cable.cut_answers(), 1);
}
